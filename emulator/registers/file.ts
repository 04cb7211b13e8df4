/** The registers of one card instance: bus side (`read`, `write`), hardware side (`get`, `set`, hooks) and reset. */
import { type AccessMasks, accessMasks } from './access-masks';
import type { MapSpec, ResetKind } from './declaration';
import { type Location, locate } from './location';
import type { RegisterMap } from './map';
import type { AnyMapSpec } from './names';
import { RegisterStorage } from './storage';
import { RegisterView } from './view';

/** Without a type parameter: the registers of any map, with names and values checked only at run time. */
export class RegisterFile<S extends MapSpec = AnyMapSpec> extends RegisterView<S> {
  readonly map: RegisterMap<S>;
  readonly #storage: RegisterStorage;

  constructor(map: RegisterMap<S>) {
    const { masks, locations } = tablesOf(map);
    const storage = new RegisterStorage(masks, map.registers);
    super(storage, locations);
    this.map = map;
    this.#storage = storage;
  }

  /** Size of the window in bytes. */
  get sizeBytes(): number {
    return this.map.sizeBytes;
  }

  /** Bus read at `offset` bytes: fills `data`, whose length is the access size, with what the registers return. */
  read(offset: number, data: Uint8Array): void {
    this.#storage.read(offset, data);
  }

  /** Bus write of `data`, whose length is the access size, at `offset` bytes. `data` is not kept after the call. */
  write(offset: number, data: Uint8Array): void {
    this.#storage.write(offset, data);
  }

  /**
   * Sets every register to its reset value; of a reset of a `kind`, what is declared to survive it stays. Hooks stay
   * registered and are not called.
   */
  reset(kind?: ResetKind): void {
    this.#storage.reset(kind);
  }

  /** The `index`-th block of the array `name`. @throws RangeError if there is none */
  block<K extends { [N in keyof S]: S[N] extends { readonly registers: unknown } ? N : never }[keyof S] & string>(
    name: K,
    index: number,
  ): RegisterView<Extract<S[K], { readonly registers: unknown }>['registers']> {
    const registers = this.map.registers.filter(({ block }) => block?.name === name && block.index === index);
    if (registers.length > 0)
      return new RegisterView(
        this.#storage,
        locate(registers, (register) => register.name),
      );
    const known = this.map.blocks.map((array) => `${array.name}[0..${array.count - 1}]`).join(', ') || 'none';
    throw new RangeError(`There is no block ${name}[${index}]: the map has ${known}.`);
  }
}

interface MapTables {
  readonly masks: AccessMasks;
  readonly locations: ReadonlyMap<string, Location>;
}

/** Computed once per map and shared by all instances of a card. */
const tables = new WeakMap<RegisterMap, MapTables>();

function tablesOf(map: RegisterMap): MapTables {
  let found = tables.get(map);
  if (!found) {
    const { registers } = map;
    found = { masks: accessMasks(registers), locations: locate(registers, (register) => register.path) };
    tables.set(map, found);
  }
  return found;
}
