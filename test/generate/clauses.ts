/**
 * What the specifications demand of an endpoint, clause by clause, as far as a driver or a client can observe it. The
 * tests that hold a clause cite it in their names: `it('clears the BARs (PCIe 6.6.2)')`. `npm run generate` puts both
 * together in docs/conformance.md.
 */

/** Something that a clause demands and that ghostcard leaves out or cannot do, with the reason. */
export interface LeftOut {
  readonly demand: string;
  readonly leftOut: string;
}

export interface Specification {
  /** The word that a citation begins with. */
  readonly cite: string;
  readonly title: string;
  /** By clause: the demand in one sentence; tests cite it unless it is left out. */
  readonly clauses: Readonly<Record<string, string | LeftOut>>;
}

const PCI: Specification = {
  cite: 'PCI',
  title: 'PCI Local Bus Specification 3.0',
  clauses: {
    '6.1':
      'Bytes of configuration space that hold no register read 0 and ignore writes; accesses of 1, 2 and 4 bytes work.',
    '6.2.1': 'Vendor, device, revision, class code and header type are at their offsets and read-only.',
    '6.2.2': 'The command register has the writable bits of the function, all 0 after a reset.',
    '6.2.3':
      'The status register shows the capability list; Interrupt Status is the state of the function, whatever Interrupt Disable says.',
    '6.2.4': 'Interrupt Line is storage, Interrupt Pin and the subsystem ids are read-only.',
    '6.2.5.1': 'A BAR to which ones are written shows its size; its type bits are fixed; a 64-bit BAR takes two slots.',
    '6.2.5.2': 'The expansion ROM has a BAR of its own, with an enable bit; it reads 0 where there is no ROM.',
    '6.7': 'The capability list starts at 34h, each entry names the next, the last one 0.',
    '6.8.1.3': 'MSI shows how many vectors it can send, and sends no more than software has granted.',
    '6.8.1.5': 'MSI of a 64-bit function has 64-bit message addresses.',
    '6.8.1.7': 'A masked MSI vector is not sent.',
    '6.8.1.8': 'A masked MSI vector that is due has its pending bit set, and is sent once when it is unmasked.',
    '6.8.2.3': 'MSI-X shows its table size; the function mask holds back all vectors.',
    '6.8.2.4': 'Table Offset and BIR lead to the MSI-X table, in any BAR of the function.',
    '6.8.2.5': 'PBA Offset and BIR lead to the pending bits.',
    '6.8.2.8': 'Entries of the table read back what was written.',
    '6.8.2.9': 'Every entry is masked after a reset; a masked vector is not sent, and is sent when it is unmasked.',
    '6.8.2.10': 'The pending bit of a masked vector that is due is set; software cannot write it.',
    '6.8.3.3': 'While MSI or MSI-X is enabled, the function does not use INTx; without both, it sends no message.',
  },
};

const PCIE: Specification = {
  cite: 'PCIe',
  title: 'PCI Express Base Specification 5.0',
  clauses: {
    '2.2.7': 'A memory request does not cross a 4 KiB boundary.',
    '2.3.1': 'A request that nobody claims is not supported: reads return all ones, writes are discarded.',
    '2.3.2': 'A request of the function that fails is reported to its engine with the reason.',
    '2.4.1': 'Posted writes of the function, its interrupt messages among them, stay in order.',
    '2.7.2': 'A poisoned completion is an error of the request, and its data is not used.',
    '5.3.1.4': 'In D3hot the function claims configuration requests only and sends no interrupt.',
    '6.1.2': 'INTx is a level: Assert_INTx raises it and Deassert_INTx lowers it, without an access of the driver.',
    '6.1.4': 'A message is a memory write: it needs Bus Master Enable, and INTx does not.',
    '6.2.4': 'The header log belongs to the first error whose status software has not cleared.',
    '6.2.5': 'An error is logged, and reported by a message unless it is masked.',
    '6.2.6': 'Device Control, or SERR# Enable for an uncorrectable error, enables messages to the root port.',
    '6.6.1': 'A conventional reset returns the whole function to its initial state, sticky registers apart.',
    '6.6.2':
      'A function-level reset returns the function to its initial state, BARs included; payload size and link settings stay.',
    '7.5.1.1.3':
      'Memory Space Enable gates accesses of BARs, Bus Master Enable gates DMA, Interrupt Disable gates INTx.',
    '7.5.1.2.1': 'Memory BARs are 32 or 64 bits wide, and prefetchable as declared.',
    '7.5.2.1': 'Power management shows its version and the states that the function has.',
    '7.5.2.2':
      'A write of a state that the function lacks changes nothing; No_Soft_Reset says what a return to D0 keeps.',
    '7.5.3.2': 'The PCI Express capability names the type of function: an endpoint.',
    '7.5.3.3': 'Device Capabilities show whether the function has a function-level reset.',
    '7.5.3.4': 'Initiate Function Level Reset reads 0 and starts a reset.',
    '7.5.3.8': 'Link Status shows speed and width.',
    '7.6.2': 'Extended capabilities start at 100h; without one, it reads 0.',
    '7.6.3': 'The header of each extended capability names the next one, that of the last one 0.',
    '7.8.4': 'Advanced Error Reporting has status, mask and severity of each error, all sticky.',
    '7.9.3': 'The device serial number is an extended capability.',
    '7.9.5': 'A vendor-specific extended capability has an id, a revision and a length of its own.',
  },
};

const VFIO: Specification = {
  cite: 'VFIO',
  title: 'linux/vfio.h, as a client of any VFIO device sees it',
  clauses: {
    DEVICE_GET_INFO:
      'The device says that it is a PCI device, whether it can be reset, and how many regions and interrupt indexes it has.',
    DEVICE_GET_REGION_INFO:
      'A region has its size and access flags; what can be mapped is listed in a sparse mmap capability, or is all of it.',
    DEVICE_GET_IRQ_INFO: 'An interrupt index has its number of vectors and its flags: maskable, automasked, resizable.',
    DEVICE_SET_IRQS:
      'Eventfds are connected, triggered, masked and unmasked, for a range of vectors or the whole index.',
    DEVICE_RESET: 'The device is in its initial state after a reset, and what the client has set up stays.',
    IRQ_INFO_AUTOMASKED: 'An INTx that was triggered counts as masked until the client unmasks it.',
    IOMMU_MAP_DMA: 'A mapping that overlaps another is refused.',
    IOMMU_UNMAP_DMA: 'Unmapping removes whole mappings; a range that cuts one in two is refused.',
  },
};

const VFIO_USER: Specification = {
  cite: 'vfio-user',
  title: 'vfio-user protocol (QEMU, docs/interop/vfio-user.rst)',
  clauses: {
    header: 'Messages are framed by their size; a reply has the id of its request; an error reply has an error number.',
    VERSION: 'Versions and capabilities are agreed first, and once.',
    DMA_MAP: 'Memory is mapped with a descriptor or without one, up to the agreed number of mappings.',
    DMA_UNMAP: 'Mappings are removed one by one, by range, or all.',
    DEVICE_GET_REGION_IO_FDS: 'A device may offer descriptors for the I/O of a region, or none.',
    REGION_READ: 'A read returns the bytes, up to the agreed size.',
    REGION_WRITE: 'A write is done, up to the agreed size; a posted one has no reply.',
    REGION_WRITE_MULTI: 'Several writes in one message are done in order.',
    DMA_READ: 'Memory without a descriptor is read by messages of the agreed size.',
    DMA_WRITE: 'Memory without a descriptor is written by messages of the agreed size.',
    DEVICE_RESET: 'A device that can be reset is reset, another refuses.',
    disconnect: 'A client that disconnects leaves no mapping, interrupt or descriptor; the next one is served.',
  },
};

export const SPECIFICATIONS: readonly Specification[] = [PCI, PCIE, VFIO, VFIO_USER];
