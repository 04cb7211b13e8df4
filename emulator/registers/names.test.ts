import { describe, expectTypeOf, test } from 'vitest';
import {
  registerBlock,
  RegisterFile,
  registerMap,
  type RegisterPath,
  type RegisterView,
  type RegisterWrite,
  type ValueAt,
  type ValuePath,
} from './index';

const CHANNEL = registerBlock({
  CONTROL: { offset: 0x0, access: 'rw', fields: { RUN: [0, 'Runs.'], MODE: [7, 4] } },
  STATUS: { offset: 0x4, access: 'ro', fields: { BUSY: [0], CODE: { bits: [11, 8], values: { NONE: 0, BAD: 1 } } } },
  RING_BASE: { offset: 0x8, width: 64, access: 'rw', fields: { PAGE: [63, 12] } },
});

const MAP = registerMap({
  ID: { offset: 0x0, access: 'ro', reset: 0x4748_4331 },
  LEDS: { offset: 0x4, access: 'rw', fields: { RED: [0], GREEN: [1] } },
  H2C: { offset: 0x1000, stride: 0x100, count: 2, registers: CHANNEL },
});

const OTHER = registerMap({ ENGINE: { offset: 0, registers: CHANNEL } });

describe('names of a register map in the type system', () => {
  const file = new RegisterFile(MAP);

  test('a value is a number, or a bigint if the register has 64 bits', () => {
    expectTypeOf(file.get('ID')).toEqualTypeOf<number>();
    expectTypeOf(file.get('LEDS.RED')).toEqualTypeOf<number>();
    expectTypeOf(file.get('H2C[0].STATUS.BUSY')).toEqualTypeOf<number>();
    expectTypeOf(file.get('H2C[1].RING_BASE')).toEqualTypeOf<bigint>();
    expectTypeOf(file.get('H2C[1].RING_BASE.PAGE')).toEqualTypeOf<bigint>();
    // @ts-expect-error a 64-bit register takes a bigint
    void (() => file.set('H2C[0].RING_BASE', 1));
    // @ts-expect-error a 32-bit register takes a number
    void (() => file.set('ID', 1n));
  });

  test('a path can have a computed index', () => {
    const index = 1 as number;
    expectTypeOf(file.get(`H2C[${index}].STATUS.BUSY`)).toEqualTypeOf<number>();
    expectTypeOf(file.get(`H2C[${index}].RING_BASE`)).toEqualTypeOf<bigint>();
  });

  test('a path, or a part of it, can be a type parameter', () => {
    type Spec = typeof MAP.spec;
    const get = <P extends ValuePath<Spec>>(path: P): ValueAt<Spec, P> => file.get(path);
    const field = <F extends 'RED' | 'GREEN'>(name: F) => file.get(`LEDS.${name}`);
    const inBlock = <R extends 'CONTROL' | 'STATUS'>(name: R) => file.get(`H2C[${1 as number}].${name}`);
    const of = <S, P extends ValuePath<S>>(view: RegisterView<S>, path: P): ValueAt<S, P> => view.get(path);
    const hook = <S, P extends RegisterPath<S>>(view: RegisterView<S>, path: P) => view.onWrite(path, () => {});
    expectTypeOf(get('H2C[0].RING_BASE')).toEqualTypeOf<bigint>();
    expectTypeOf(field('RED')).toEqualTypeOf<number>();
    expectTypeOf(inBlock('STATUS')).toEqualTypeOf<number>();
    expectTypeOf(of(file, 'LEDS.RED')).toEqualTypeOf<number>();
    expectTypeOf(of(file.block('H2C', 0), 'RING_BASE')).toEqualTypeOf<bigint>();
    hook(file, 'H2C[0].STATUS');
    // @ts-expect-error no such field
    void (() => of(file, 'LEDS.BLUE'));
    // @ts-expect-error a field has no hook
    void (() => hook(file, 'LEDS.RED'));
  });

  test('a misspelt name does not compile', () => {
    // @ts-expect-error no such register
    void (() => file.get('IDD'));
    // @ts-expect-error no such field
    void (() => file.get('LEDS.BLUE'));
    // @ts-expect-error no such register in the block
    void (() => file.get('H2C[0].STATE'));
    // @ts-expect-error no such field in the block
    void (() => file.get('H2C[0].STATUS.BUZY'));
    // @ts-expect-error not an array of blocks
    void (() => file.get('C2H[0].STATUS'));
    // @ts-expect-error the index is missing
    void (() => file.get('H2C.STATUS'));
    // @ts-expect-error the index is not a number
    void (() => file.get('H2C[x].STATUS'));
    // @ts-expect-error a register outside the block has no index
    void (() => file.get('LEDS[0]'));
    // @ts-expect-error a hook belongs to a register, not to a field
    void (() => file.onWrite('LEDS.RED', () => {}));
    // @ts-expect-error a plain register is not a block
    void (() => file.block('LEDS', 0));
    // @ts-expect-error no such field of that register
    void (() => file.register('LEDS').get('BLUE'));
    // @ts-expect-error a register without fields
    void (() => file.register('ID').get('RED'));
  });

  test('a hook gets values of the type of its register', () => {
    file.onWrite('LEDS', (write) => expectTypeOf(write).toEqualTypeOf<RegisterWrite<number>>());
    file.onWrite('H2C[0].RING_BASE', ({ value }) => expectTypeOf(value).toEqualTypeOf<bigint>());
    file.onRead('H2C[0].RING_BASE', (stored) => stored + 1n);
    // @ts-expect-error a read hook of a 64-bit register supplies a bigint
    void (() => file.onRead('H2C[0].RING_BASE', () => 1));
  });

  test('a handle has the value type and the fields of its register', () => {
    expectTypeOf(file.register('LEDS').value).toEqualTypeOf<number>();
    expectTypeOf(file.register('H2C[0].RING_BASE').value).toEqualTypeOf<bigint>();
    expectTypeOf(file.register('H2C[0].STATUS').get).parameter(0).toEqualTypeOf<'BUSY' | 'CODE'>();
  });

  test('an engine written for a block accepts that block of any map', () => {
    class Engine {
      readonly running: number;
      constructor(readonly registers: RegisterView<typeof CHANNEL>) {
        this.running = registers.get('CONTROL.RUN');
        registers.onWrite('CONTROL', ({ value }) => expectTypeOf(value).toEqualTypeOf<number>());
        // @ts-expect-error a register of the map, not of the block
        void (() => registers.get('ID'));
      }
    }
    new Engine(file.block('H2C', 1));
    new Engine(new RegisterFile(OTHER).block('ENGINE', 0));
    // @ts-expect-error the whole map is not that block
    void (() => new Engine(file));
  });

  test('a RegisterFile without a type parameter accepts any map, with names and values unchecked', () => {
    const files: RegisterFile[] = [file, new RegisterFile(OTHER)];
    expectTypeOf(files[0]!.get('ID' as string)).toEqualTypeOf<number | bigint>();
    expectTypeOf(files[0]!.block('H2C', 0).get('RING_BASE')).toEqualTypeOf<number | bigint>();
    expectTypeOf(file).toExtend<RegisterView<typeof MAP.spec>>();
  });
});
