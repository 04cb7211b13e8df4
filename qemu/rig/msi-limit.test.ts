import { expect, it } from 'vitest';
import { type LaunchOptions } from '../launch';
import { msiLimit } from './msi-limit';

const guest = (arch: 'amd64' | 'arm64', release: string, iommu = true) =>
  ({ provisioned: { arch, kernel: { release } }, iommu }) as LaunchOptions;

it('only vfio-pci behind the IOMMU of an arm64 guest with a kernel after 6.12 has no MSI', () => {
  expect(msiLimit('vfio-pci', guest('arm64', '7.3.4+deb12-cloud-arm64'))).toMatch(
    /^under vfio-pci, a program cannot enable MSI or MSI-X behind the IOMMU of an arm64 guest with Linux 7\.3\.4/,
  );
  expect(msiLimit('vfio-pci', guest('arm64', '6.12.9-cloud-arm64'))).toBeUndefined();
  expect(msiLimit('vfio-pci', guest('amd64', '7.3.4-cloud-amd64'))).toBeUndefined();
  expect(msiLimit('vfio-pci', guest('arm64', '7.3.4-cloud-arm64', false))).toBeUndefined();
  expect(msiLimit('uio_pci_generic', guest('arm64', '7.3.4-cloud-arm64'))).toBeUndefined();
});
