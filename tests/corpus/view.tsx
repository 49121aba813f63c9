type Props<T,> = { name: string; title?: string; items: ReadonlyArray<T> };

export const List = <T extends { path: string }>({ name, title, items }: Props<T>) => (
  <section title={title}>
    <h2>{name}</h2>
    {items.length < 1 ? <Empty name="list" /> : null}
    <ul>
      {items.map((item) => (
        <li key={item.path}>
          <code>{item.path}</code>
          <Tool function="read" parameter={{ path: item.path }} />
        </li>
      ))}
    </ul>
    <summary>{`<function=${name}>`}</summary>
  </section>
);
