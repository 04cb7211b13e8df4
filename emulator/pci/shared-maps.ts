/**
 * Register maps of configuration space depend on little (vectors, link, identity), and building one takes far longer
 * than making a register file of it. Cards of one kind share theirs, so that a test can make a thousand cards a second.
 */
export function sharedMaps<A extends readonly unknown[], M>(build: (...parameters: A) => M): (...parameters: A) => M {
  const built = new Map<string, M>();
  return (...parameters) => {
    const key = JSON.stringify(parameters, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value));
    let map = built.get(key);
    if (map === undefined) built.set(key, (map = build(...parameters)));
    return map;
  };
}
