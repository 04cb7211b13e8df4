/**
 * The driver's side of a register map: bus reads and writes by name. RegisterFile's get and set are the hardware's side.
 */
import { type MapSpec, type OneOf, type RegisterMap, type RegisterPath, type ValueAt } from '../registers';
import { type RegionSpace } from './space';

/** The driver's side of a register map: bus reads and writes by name. */
export class NamedRegisters<S extends MapSpec> {
  readonly #places = new Map<string, { offset: number; width: number }>();

  constructor(
    private readonly space: RegionSpace,
    map: RegisterMap<S>,
  ) {
    for (const { path, offset, width } of map.registers) this.#places.set(path, { offset, width });
  }

  /** One bus read of the register's own width. */
  read<P extends string = RegisterPath<S>>(path: OneOf<RegisterPath<S>, P>['name']): ValueAt<S, P> {
    const { offset, width } = this.#placeOf(path);
    const value =
      width === 64
        ? this.space.read64(offset)
        : width === 32
          ? this.space.read32(offset)
          : width === 16
            ? this.space.read16(offset)
            : this.space.read8(offset);
    return value as ValueAt<S, P>;
  }

  /** One bus write of the register's own width. */
  write<P extends string = RegisterPath<S>>(path: OneOf<RegisterPath<S>, P>['name'], value: ValueAt<S, P>): void {
    const { offset, width } = this.#placeOf(path);
    if (width === 64) this.space.write64(offset, BigInt(value));
    else if (width === 32) this.space.write32(offset, Number(value));
    else if (width === 16) this.space.write16(offset, Number(value));
    else this.space.write8(offset, Number(value));
  }

  #placeOf(path: string): { offset: number; width: number } {
    const place = this.#places.get(path);
    if (place === undefined) throw new RangeError(`There is no register '${path}' in this map.`);
    return place;
  }
}
