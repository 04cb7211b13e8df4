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

type Names<S> = keyof S & string;
/** The declaration of entry `K`; of an alias, that of the register that it accesses. */
type Entry<S, K extends keyof S> = S[K] extends { readonly aliasOf: infer T extends keyof S } ? S[T] : S[K];
type BlockArray = { readonly registers: unknown };

/** Paths of all registers of `S`. */
export type RegisterPath<S> = {
  [K in Names<S>]: S[K] extends { readonly registers: infer B } ? `${K}[${number}].${Names<B>}` : K;
}[Names<S>];

/** Paths of all fields of `S`. */
export type FieldPath<S> = {
  [K in Names<S>]: S[K] extends { readonly registers: infer B }
    ? `${K}[${number}].${FieldPath<B>}`
    : Entry<S, K> extends { readonly fields: infer F }
      ? `${K}.${Names<F>}`
      : never;
}[Names<S>];

/** Paths of everything that has a value: registers and fields. */
export type ValuePath<S> = RegisterPath<S> | FieldPath<S>;

/** Names of the arrays of blocks in `S`. */
export type BlockName<S> = { [K in Names<S>]: Extract<S[K], BlockArray> extends never ? never : K }[Names<S>];

/** The declaration of the registers inside block array `K`. */
export type BlockOf<S, K> = K extends keyof S ? Extract<S[K], BlockArray>['registers'] : never;

/** The declaration of the register at a path, which may also name one of its fields. */
export type RegisterAt<S, P extends string> = P extends keyof S
  ? Entry<S, P>
  : P extends `${infer K}[${number}].${infer Rest}`
    ? RegisterAt<BlockOf<S, K>, Rest>
    : P extends `${infer R}.${string}`
      ? RegisterAt<S, R>
      : never;

/** Names of the fields of the register at a path. */
export type FieldName<S, P extends string> = RegisterAt<S, P> extends { readonly fields: infer F } ? Names<F> : never;

/** `bigint` for a 64-bit register and its fields, `number` for all others; both if the type of the map is not known. */
export type ValueAt<S, P extends string> = string extends keyof S
  ? number | bigint
  : RegisterAt<S, P> extends { readonly width: 64 }
    ? bigint
    : number;
