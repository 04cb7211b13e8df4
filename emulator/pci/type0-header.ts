/**
 * Layout of the first 64 bytes of configuration space: the type 0 header that every endpoint begins with.
 *
 * Source: PCI Local Bus Spec 3.0, 6.1 (figure 6-1) and 6.2; PCI Express Base Spec 5.0, 7.5.1 (which bits an Express
 * function hardwires to 0).
 */
import { registerBlock, registerMap } from '../registers';
import { type CardIdentity, type InterruptPin } from './identity';
import { sharedMaps } from './shared-maps';
import { BAR_COUNT } from './vfio-layout';

const HEADER_SIZE_BYTES = 64;

const pinCode: Record<InterruptPin, number> = { A: 1, B: 2, C: 3, D: 4 };

const BAR_SLOT = registerBlock({
  ADDRESS: { offset: 0, access: 'rw', doc: 'Base address; the low bits are hardwired to type and size (bars.ts).' },
});

/** Configuration space fills in where the capabilities begin. */
export const type0Header = sharedMaps((identity: CardIdentity) =>
  registerMap(
    {
      VENDOR_ID: { offset: 0x00, width: 16, access: 'ro', reset: identity.vendorId },
      DEVICE_ID: { offset: 0x02, width: 16, access: 'ro', reset: identity.deviceId },
      COMMAND: {
        offset: 0x04,
        width: 16,
        access: 'ro',
        doc: 'What the function may do on the bus (6.2.2).',
        fields: {
          IO_SPACE: { bits: [0], access: 'rw', doc: 'The I/O BARs decode accesses; 0 on a card without any.' },
          MEMORY_SPACE: { bits: [1], access: 'rw', doc: 'The BARs decode accesses.' },
          BUS_MASTER: { bits: [2], access: 'rw', doc: 'DMA and message-signalled interrupts may be sent.' },
          PARITY_ERROR_RESPONSE: { bits: [6], access: 'rw' },
          SERR_ENABLE: { bits: [8], access: 'rw' },
          INTERRUPT_DISABLE: { bits: [10], access: 'rw', doc: 'INTx messages are not sent.' },
        },
      },
      STATUS: {
        offset: 0x06,
        width: 16,
        access: 'ro',
        doc: 'What has happened on the bus (6.2.3).',
        fields: {
          INTERRUPT_STATUS: { bits: [3], doc: 'The INTx state inside the function, also while INTx is disabled.' },
          CAPABILITIES_LIST: { bits: [4], reset: 1 },
          MASTER_DATA_PARITY_ERROR: { bits: [8], access: 'w1c' },
          SIGNALED_TARGET_ABORT: { bits: [11], access: 'w1c' },
          RECEIVED_TARGET_ABORT: { bits: [12], access: 'w1c' },
          RECEIVED_MASTER_ABORT: { bits: [13], access: 'w1c' },
          SIGNALED_SYSTEM_ERROR: { bits: [14], access: 'w1c' },
          DETECTED_PARITY_ERROR: { bits: [15], access: 'w1c' },
        },
      },
      REVISION_ID: { offset: 0x08, width: 8, access: 'ro', reset: identity.revision ?? 0 },
      PROGRAMMING_INTERFACE: { offset: 0x09, width: 8, access: 'ro', reset: identity.classCode & 0xff },
      CLASS: { offset: 0x0a, width: 16, access: 'ro', reset: identity.classCode >>> 8 },
      CACHE_LINE_SIZE: { offset: 0x0c, width: 8, access: 'rw', doc: 'Storage only on PCI Express (7.5.1.1.7).' },
      LATENCY_TIMER: { offset: 0x0d, width: 8, access: 'ro' },
      HEADER_TYPE: { offset: 0x0e, width: 8, access: 'ro', doc: 'Type 0; bit 7: the card has several functions.' },
      BIST: { offset: 0x0f, width: 8, access: 'ro' },
      BAR: { offset: 0x10, stride: 4, count: BAR_COUNT, registers: BAR_SLOT },
      SUBSYSTEM_VENDOR_ID: {
        offset: 0x2c,
        width: 16,
        access: 'ro',
        reset: identity.subsystemVendorId ?? identity.vendorId,
      },
      SUBSYSTEM_ID: { offset: 0x2e, width: 16, access: 'ro', reset: identity.subsystemId ?? identity.deviceId },
      EXPANSION_ROM: { offset: 0x30, access: 'rw', doc: 'Base address, and in bit 0 the enable; 0 without a ROM.' },
      CAPABILITIES_POINTER: { offset: 0x34, width: 8, access: 'ro' },
      INTERRUPT_LINE: { offset: 0x3c, width: 8, access: 'rw', doc: 'Storage for the firmware.' },
      INTERRUPT_PIN: { offset: 0x3d, width: 8, access: 'ro', reset: identity.intx ? pinCode[identity.intx] : 0 },
    },
    { sizeBytes: HEADER_SIZE_BYTES },
  ),
);
