/**
 * The names of a register map as types, so that a misspelt register or field does not compile.
 *
 * `S` is the literal type of a declaration (see `declaration.ts`), either of a whole map or of one block. Paths are
 * `REGISTER`, `REGISTER.FIELD`, `BLOCK[n].REGISTER` and `BLOCK[n].REGISTER.FIELD`. Code that handles any map
 * (`AnyMapSpec`) can pass any string as a path; it is checked at run time.
 */
/**
 * Any map. `MapSpec` does not work here: a view takes paths and returns values, so the view of one declaration is not a
 * subtype of the view of another. Only `any` is compatible with all.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyMapSpec = any;

/** Paths of all registers of `S`, such as `STATUS` and `H2C[0].STATUS`. */
export type RegisterPath<S> = {
  [K in keyof S & string]: S[K] extends { readonly registers: infer B } ? `${K}[${number}].${keyof B & string}` : K;
}[keyof S & string];

/** Paths of everything in `S` that has a value: registers, and fields such as `STATUS.BUSY`. */
export type ValuePath<S> = {
  [K in keyof S & string]: S[K] extends { readonly registers: infer B }
    ? `${K}[${number}].${ValuePath<B>}`
    : RegisterAt<S, K> extends { readonly fields: infer F }
      ? K | `${K}.${keyof F & string}`
      : K;
}[keyof S & string];

/** Paths of all fields of `S`. */
export type FieldPath<S> = Exclude<ValuePath<S>, RegisterPath<S>>;

/** The declaration of the register at a path, which may also name one of its fields; of an alias, that of its target. */
type RegisterAt<S, P extends string> = P extends keyof S
  ? S[P] extends { readonly aliasOf: infer T extends keyof S }
    ? S[T]
    : S[P]
  : P extends `${infer K extends keyof S & string}[${number}].${infer Rest}`
    ? RegisterAt<Extract<S[K], { readonly registers: unknown }>['registers'], Rest>
    : P extends `${infer R}.${string}`
      ? RegisterAt<S, R>
      : never;

/** Names of the fields of the register at a path. */
export type FieldName<S, P extends string> =
  RegisterAt<S, P> extends { readonly fields: infer F } ? keyof F & string : never;

/** `bigint` for a 64-bit register and its fields, `number` for all others; both if the type of the map is not known. */
export type ValueAt<S, P extends string> = string extends keyof S
  ? number | bigint
  : RegisterAt<S, P> extends { readonly width: 64 }
    ? bigint
    : number;
