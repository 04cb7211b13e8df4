/** Register maps: declare registers as data, and get a typed register file, a C header and documentation from them. */
export type { Access } from './access';
export { cHeader, type CHeaderOptions } from './c-header';
export { RegisterMapError } from './check';
export type {
  BlockArrayDeclaration,
  BlockSpec,
  CardEffect,
  DetailedFieldDeclaration,
  FieldDeclaration,
  MapSpec,
  RegisterDeclaration,
  ResetKind,
  Role,
  Survives,
} from './declaration';
export { RESET_KINDS } from './declaration';
export { RegisterFile } from './file';
export type { RegisterWrite, WriteHook } from './hooks';
export type { BlockArrayLayout, FieldLayout, RegisterLayout } from './register-layout';
export { registerBlock, type RegisterMap, registerMap } from './map';
export { markdownTable, type MarkdownOptions } from './markdown';
export type { AnyMapSpec, FieldName, FieldPath, OneOf, RegisterPath, ValueAt, ValuePath } from './names';
export { bitsWithRole, sharedBits } from './roles';
export { fieldOf, type FieldPosition, offsetOf, sizeOf } from './structure';
export { type RegisterHandle, type RegisterView } from './view';
