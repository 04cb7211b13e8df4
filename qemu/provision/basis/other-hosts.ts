/** What to do on machines that have no packages of Debian's, or no apt. */
import { inPackage } from '../../../emulator/folders';

export const WITHOUT_DEBIAN =
  'take a pack of all that guests need from a machine with Debian: "npx ghostcard provision --export pack.tar.zst" there, ' +
  '"npx ghostcard provision --import pack.tar.zst" here; ' +
  `or run in a container of ${inPackage('.ci/Containerfile')} (docs/ci.md); ` +
  'or provide your own parts: --qemu FILE (10.1 or later, with vfio-user-pci), ' +
  '--kernel FILE, --modules FOLDER (/lib/modules/RELEASE, built with CONFIG_VFIO_NOIOMMU) and --busybox FILE (static); ' +
  'the variables GHOSTCARD_QEMU, GHOSTCARD_KERNEL, GHOSTCARD_MODULES and GHOSTCARD_BUSYBOX do the same';
