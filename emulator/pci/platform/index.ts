/** Platform devices that a card describes: declaration, table, and the files generated from the table's layout. */
export { cDeclarations } from './c-declarations';
export { platformDevice, type PlatformDevice, type PlatformWindow } from './declaration';
export { structTables } from './markdown';
export { PlatformTable } from './table';
