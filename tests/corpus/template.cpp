#include <functional>
#include <map>
#include <string>

template <typename function, typename parameter = int>
struct call : std::function<void(parameter)> {
  using path = std::map<std::string, std::vector<parameter>>;
  bool operator<(const call& other) const { return name<other.name; }
  std::string name, title;
};

template <>
struct call<void(*)(int), long> {};

int main() {
  std::function<int(int)> read = [](int x) { return x << 2 >> 1; };
  if (read(1) <function(2) && 3> 2) return 1;  // <function=read>
  return 0;
}
