public final class Reader<T extends Comparable<? super T>> implements Function<Path, List<T>> {
    /** Reads {@code <name>} from {@link Path}; see {@code <function=read>}. */
    private final Map<String, List<? extends Parameter<T>>> parameters = new HashMap<>();

    @Override
    public List<T> apply(final Path path) {
        return parameters.<T>values().stream().filter(p -> p.size() < 3).map(Reader::<T>read).toList();
    }
}
