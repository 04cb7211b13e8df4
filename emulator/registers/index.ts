/** Register maps: declare registers as data, and get a typed register file, a C header and documentation from them. */
export { cHeader, type CHeaderOptions } from './c-header';
export { RegisterMapError } from './check';
export type {
  Access,
  BlockArrayDeclaration,
  BlockSpec,
  DetailedFieldDeclaration,
  FieldDeclaration,
  MapSpec,
  RegisterDeclaration,
  Width,
} from './declaration';
export { RegisterFile } from './file';
export type { ReadHook, RegisterWrite, WriteHook } from './hooks';
export type { BlockArrayLayout, FieldLayout, RegisterLayout } from './layout';
export { registerBlock, type RegisterMap, registerMap } from './map';
export { markdownTable, type MarkdownOptions } from './markdown';
export type { AnyMapSpec, BlockName, BlockOf, FieldName, FieldPath, RegisterPath, ValueAt, ValuePath } from './names';
export { fieldOf, type FieldPosition, offsetOf, sizeOf } from './structure';
export type { RegisterHandle, RegisterView } from './view';
