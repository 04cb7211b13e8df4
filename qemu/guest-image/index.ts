/** The guest's initial root file system: its contents and its format. */
export { type CpioEntry, writeCpio } from './cpio';
export {
  buildImage,
  GUEST_MODULES,
  guestModules,
  GUEST_PATHS,
  HOST_ROOT,
  HOST_ROOT_TOOLS,
  IMAGE_RECIPE,
  imageEntries,
  type ImageModule,
  type ImageParts,
  imageScripts,
} from './image';
export {
  describeModule,
  type KernelModule,
  loadOrder,
  modinfo,
  moduleName,
  modulesDep,
  parseModulesDep,
} from './modules';
