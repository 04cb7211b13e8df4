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

/**
 * `name` is the type of a parameter that is to be one of `Names`: `P` if it is, else the names near it, which the compiler
 * then shows. Both parts are needed. The compiler relates a name that is, or contains, a type parameter of the caller to the
 * intersection only; a wrong one leaves nothing of the intersection. Without `NoInfer` it looks for `P` in every name, and is
 * ten times as slow in a map of 400 registers.
 */
export interface OneOf<Names extends string, P extends string> {
  readonly name:
    (P & NoInfer<[P] extends [Names] ? unknown : Names>) | NoInfer<[P] extends [Names] ? never : Near<Names, P>>;
}

/** In `H2C[0].STAUTS`, names of the block; of a field, those of its register, or where else there is such a field. */
type Near<Names extends string, P extends string> = P extends `${infer Block}[${infer Index}].${infer Rest}`
  ? [Inside<Names, Block>] extends [never]
    ? Alike<Names, P>
    : `${Block}[${Index extends `${number}` ? Index : number}].${Near<Inside<Names, Block>, Rest>}`
  : P extends `${infer Register}.${infer Field}`
    ? FirstOf<Extract<Names, `${Register}.${string}`>, Extract<Names, `${string}.${Field}`>, Alike<Names, Register>>
    : Alike<Names, P>;

type Inside<Names extends string, Block extends string> = Names extends `${Block}[${number}].${infer Name}`
  ? Name
  : never;

/** Registers that begin with the same two letters, or with the same letter, or all. */
type Alike<Names extends string, P extends string> = P extends `${infer A}${infer B}${string}`
  ? FirstOf<
      Extract<Registers<Names>, `${A}${B}${string}`>,
      Extract<Registers<Names>, `${A}${string}`>,
      Registers<Names>
    >
  : Registers<Names>;

/**
 * Names outside of blocks that are no fields, and names in blocks. The dot comes and goes so that it is another union than
 * `Names`, of which the compiler would show the alias.
 */
type Registers<Names extends string> = Undotted<`.${Names}`>;
type Undotted<Dotted extends string> = Dotted extends `.${infer Name}`
  ? Name extends `${string}[${number}].${string}`
    ? Name
    : Name extends `${string}.${string}`
      ? never
      : Name
  : never;

type FirstOf<A, B, C> = [A] extends [never] ? ([B] extends [never] ? C : B) : A;

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
