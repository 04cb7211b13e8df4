/**
 * A limit of guests behind an IOMMU that a program meets as an error which does not say why.
 *
 * Source: Linux 7.3 drivers/iommu/iommu.c, iommu_dma_prepare_msi. Tried with 6.1, 6.12 and 7.3.
 */
import { type LaunchOptions } from '../launch';

const LAST_WITH_MSI = [6, 12] as const;

/** What to say when a card is bound to a driver with which the guest cannot give it MSI. */
export function msiLimit(
  driver: string,
  { provisioned: { arch, kernel }, iommu = false }: Pick<LaunchOptions, 'provisioned' | 'iommu'>,
): string | undefined {
  const [major = 0, minor = 0] = (kernel.release ?? '').split('.').map(Number);
  const isLater = major > LAST_WITH_MSI[0] || (major === LAST_WITH_MSI[0] && minor > LAST_WITH_MSI[1]);
  if (driver !== 'vfio-pci' || arch !== 'arm64' || !iommu || !isLater) return undefined;
  return (
    `under vfio-pci, a program cannot enable MSI or MSI-X behind the IOMMU of an arm64 guest with Linux ${kernel.release} ` +
    "('No space left on device'): use INTx, a kernel up to 6.12 (--kernel-release) or an amd64 guest, see " +
    'docs/limits.md#no-msi-behind-the-iommu-of-an-arm64-guest-with-linux-73'
  );
}
