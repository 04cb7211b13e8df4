/**
 * What a card, or one of its engines, sees of its registers: names, values and hooks, but neither offsets nor the bus.
 * An engine that takes a `RegisterView<typeof CHANNEL>` works in every map that contains the block CHANNEL.
 */
import type { ChangeHook, Hooks, ReadHook, RegisterWrite, WriteHook } from './hooks';
import type { RegisterLayout } from './register-layout';
import { load, type Location, store } from './location';
import type { FieldName, OneOf, RegisterPath, ValueAt, ValuePath } from './names';
import type { RegisterStorage } from './storage';

/** One register, looked up once, for hot paths. `V` is its value type. */
export interface RegisterHandle<V extends number | bigint = number | bigint, F extends string = string> {
  value: V;
  /** The value of a field. */
  get(field: F): V;
  /** @throws RangeError when the value does not fit */
  set(field: F, value: V): void;
}

/**
 * The hardware side of the registers declared by `S`. `get` and `set` access the stored state regardless of access
 * rules and run no hooks. They take the path of a register (`STATUS`) or of a field (`STATUS.BUSY`).
 */
export class RegisterView<S> {
  /** For the compiler, which infers `S` of a function's `RegisterView<S>` from it. @hidden */
  declare protected readonly declaration: S;
  readonly #storage: RegisterStorage;
  readonly #locations: ReadonlyMap<string, Location>;

  /** @internal A view of those registers whose names are in `locations`. */
  constructor(storage: RegisterStorage, locations: ReadonlyMap<string, Location>) {
    this.#storage = storage;
    this.#locations = locations;
  }

  /** The value of a register or field, without the effects of a bus read. */
  get<P extends string = ValuePath<S>>(path: OneOf<ValuePath<S>, P>['name']): ValueAt<S, P> {
    return load(this.#storage.words, find(this.#locations, path)) as ValueAt<S, P>;
  }

  /** @throws RangeError when the value does not fit */
  set<P extends string = ValuePath<S>>(path: OneOf<ValuePath<S>, P>['name'], value: ValueAt<S, P>): void {
    store(this.#storage.words, find(this.#locations, path), value);
  }

  /**
   * Calls `hook` after every bus write that touches the register, even if it changes nothing. A 64-bit register that is
   * written as two halves calls it twice. Several hooks of a register run in the order in which they were added.
   */
  onWrite<P extends string = RegisterPath<S>>(
    path: OneOf<RegisterPath<S>, P>['name'],
    hook: (write: RegisterWrite<ValueAt<S, P>>) => void,
  ): void {
    const hooks = this.#hooksOf(path);
    const earlier = hooks.onWrite;
    const later = hook as WriteHook;
    hooks.onWrite = earlier ? (write) => (earlier(write), later(write)) : later;
  }

  /**
   * Calls `hook` on every bus read that touches the register, with the stored state. The read returns the hook's result,
   * limited to the byte lanes that are read and to readable bits. A second hook gets the result of the first as the stored
   * value.
   */
  onRead<P extends string = RegisterPath<S>>(
    path: OneOf<RegisterPath<S>, P>['name'],
    hook: (stored: ValueAt<S, P>) => ValueAt<S, P>,
  ): void {
    const hooks = this.#hooksOf(path);
    const earlier = hooks.onRead;
    const later = hook as unknown as ReadHook;
    hooks.onRead = earlier ? (stored) => later(earlier(stored)) : later;
  }

  /**
   * Calls `hook` after every bus access that has changed the register's value: a write, or a read with a side effect.
   * Runs after the write hooks.
   */
  onChange<P extends string = RegisterPath<S>>(
    path: OneOf<RegisterPath<S>, P>['name'],
    hook: (change: Pick<RegisterWrite<ValueAt<S, P>>, 'value' | 'previous'>) => void,
  ): void {
    const hooks = this.#hooksOf(path);
    const earlier = hooks.onChange;
    const later = hook as ChangeHook;
    hooks.onChange = earlier ? (change) => (earlier(change), later(change)) : later;
  }

  /** The register, for hot paths: the name is looked up once. */
  register<P extends string = RegisterPath<S>>(
    path: OneOf<RegisterPath<S>, P>['name'],
  ): RegisterHandle<ValueAt<S, P>, FieldName<S, P>> {
    const location = this.#registerAt(path);
    const names = location.register.fields.map(({ name }) => [name, find(this.#locations, `${path}.${name}`)] as const);
    return new Handle(this.#storage.words, location, new Map(names)) as unknown as RegisterHandle<
      ValueAt<S, P>,
      FieldName<S, P>
    >;
  }

  /** How the register at a path, which may also name one of its fields, is declared. */
  layoutOf<P extends string = ValuePath<S>>(path: OneOf<ValuePath<S>, P>['name']): RegisterLayout {
    return find(this.#locations, path).register;
  }

  #hooksOf(path: string): Hooks {
    const { register } = this.#registerAt(path);
    if (register.aliasOf === undefined) return this.#storage.hooksOf(register);
    throw new RangeError(`${path} is an alias of ${register.aliasOf}, whose hooks run for it too: add the hook there.`);
  }

  #registerAt(path: string): Location {
    const location = find(this.#locations, path);
    if (location.path === location.register.path) return location;
    throw new RangeError(`${path} is a field: name its register, ${location.register.path}.`);
  }
}

class Handle implements RegisterHandle {
  constructor(
    private readonly words: Uint32Array,
    private readonly location: Location,
    private readonly fields: ReadonlyMap<string, Location>,
  ) {}

  get value(): number | bigint {
    return load(this.words, this.location);
  }

  set value(value: number | bigint) {
    store(this.words, this.location, value);
  }

  get(field: string): number | bigint {
    return load(this.words, find(this.fields, field));
  }

  set(field: string, value: number | bigint): void {
    store(this.words, find(this.fields, field), value);
  }
}

function find(locations: ReadonlyMap<string, Location>, path: string): Location {
  const location = locations.get(path);
  if (location !== undefined) return location;
  throw new RangeError(`There is no '${path}' among these registers: ${listOf(locations)}.`);
}

/** Names of registers, without fields, and 40 at most. */
function listOf(locations: ReadonlyMap<string, Location>): string {
  const names = [...locations].filter(([, { path, register }]) => path === register.path).map(([name]) => name);
  return names.length > 40 ? `${names.slice(0, 40).join(', ')}, and ${names.length - 40} more` : names.join(', ');
}
