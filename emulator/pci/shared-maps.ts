/**
 * Register maps of configuration space depend on few parameters (vectors, link, identity), and building one takes far
 * longer than making a register file from it. Cards with equal parameters share their maps, so that a test can create a
 * thousand cards a second.
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
