/** The bugs of the kernel module (module/driver.c). */
import { BARRIERS, type Bug, DMA_API, PCI_RST } from './bug';

const inModule = (bug: Omit<Bug, 'driver'>): Bug => ({ driver: 'module', ...bug });

export const MODULE_BUGS: readonly Bug[] = [
  inModule({
    name: 'unload-without-stop',
    kind: 'lifetime',
    what: 'The module is unloaded, and its memory freed, while the engines are running.',
    source: `${PCI_RST}, "Stop all DMA operations"`,
    change: [
      [
        '    if (stop_engine(&card->send) || stop_engine(&card->receive))\n        pci_clear_master(pdev); /* whatever an engine still does must not reach memory */\n',
        '',
      ],
    ],
    line: 'unmap_all(&card->send);',
    named: /notice left-at-work/,
  }),
  inModule({
    name: 'unload-without-waiting',
    kind: 'lifetime',
    what: 'The engines are told to stop, and memory is freed while they finish the descriptor in hand.',
    source: `${PCI_RST}, "Stop all DMA operations"`,
    change: [
      [
        '    u32 status;\n\n    writel(GHOSTCARD_REF_H2C_CONTROL_RESET_MASK, channel->registers + CHANNEL_REGISTER(CONTROL));\n    return readl_poll_timeout(channel->registers + CHANNEL_REGISTER(STATUS), status,\n            !(status & GHOSTCARD_REF_H2C_STATUS_BUSY_MASK), 10, STOP_US);\n',
        '    writel(0, channel->registers + CHANNEL_REGISTER(CONTROL));\n    return 0;\n',
      ],
    ],
    line: 'writel(0, channel->registers + CHANNEL_REGISTER(CONTROL));',
    named: /notice left-at-work/,
  }),
  inModule({
    name: 'wrong-direction',
    kind: 'address',
    what: 'The buffers for received messages are mapped for reading by the card.',
    source: `${DMA_API}, "DMA Direction"`,
    change: [
      [
        'GHOSTCARD_REF_C2H(0), DMA_FROM_DEVICE, RECEIVE_VECTOR);',
        'GHOSTCARD_REF_C2H(0), DMA_TO_DEVICE, RECEIVE_VECTOR);',
      ],
    ],
    line: 'DMA_TO_DEVICE, RECEIVE_VECTOR);',
    arches: ['amd64', 'arm64'],
    named: /was refused .*: (not-writable|read-only|permission)/,
  }),
  inModule({
    name: 'unmapped-before-completion',
    kind: 'lifetime',
    what: 'The buffer is unmapped when it has been handed over, not when the card has read it.',
    source: `${DMA_API}, "Streaming DMA mappings"`,
    change: [
      [
        '    error = wait_for(channel, slot);\n    if (error && stop_engine(channel))\n',
        '    unmap(channel, slot, BUFFER_BYTES);\n    error = wait_for(channel, slot);\n    if (error && stop_engine(channel))\n',
      ],
      ['    unmap(channel, slot, BUFFER_BYTES);\n    return error;\n', '    return error;\n'],
    ],
    line: 'unmap(channel, slot, BUFFER_BYTES);',
    arches: ['amd64', 'arm64'],
  }),
  inModule({
    name: 'physical-address',
    kind: 'address',
    what: 'The card is given physical addresses, past the DMA API.',
    source: `${DMA_API}, "CPU and DMA addresses"`,
    change: [
      [
        '    dma_addr_t address = dma_map_single(channel->dev, channel->buffers[slot], length, channel->direction);\n\n    if (dma_mapping_error(channel->dev, address))\n        return -ENOMEM;\n    channel->addresses[slot] = address;\n    channel->is_mapped[slot] = true;\n    return 0;\n',
        '    channel->addresses[slot] = virt_to_phys(channel->buffers[slot]);\n    return 0;\n',
      ],
      ['    dma_sync_single_for_cpu(channel->dev, channel->addresses[slot], BUFFER_BYTES, DMA_FROM_DEVICE);\n', ''],
      ['    dma_sync_single_for_device(channel->dev, channel->addresses[slot], BUFFER_BYTES, DMA_FROM_DEVICE);\n', ''],
    ],
    line: 'virt_to_phys(',
    named: /was refused .*: unmapped/,
  }),
  inModule({
    name: 'address-narrowed',
    kind: 'address',
    what: 'The address of a buffer passes through a variable of 32 bits.',
    source: `${DMA_API}, "DMA addressing capabilities"`,
    change: [
      [
        '    descriptor->host_address = cpu_to_le64(channel->addresses[slot]);\n',
        '    descriptor->host_address = cpu_to_le64((u32)channel->addresses[slot]);\n',
      ],
    ],
    line: 'cpu_to_le64((u32)channel->addresses[slot])',
  }),
  inModule({
    name: 'vmalloc-memory',
    kind: 'address',
    what: 'A buffer of vmalloc is mapped as if it were contiguous.',
    source: `${DMA_API}, "What memory is DMA'able?"`,
    change: [
      [
        '        channel->buffers[slot] = devm_kmalloc(dev, BUFFER_BYTES, GFP_KERNEL);\n',
        '        channel->buffers[slot] = vmalloc(BUFFER_BYTES);\n',
      ],
      ['#include <linux/slab.h>\n', '#include <linux/slab.h>\n#include <linux/vmalloc.h>\n'],
    ],
    line: 'vmalloc(BUFFER_BYTES)',
    named: /rejecting DMA map of vmalloc memory/,
  }),
  inModule({
    name: 'not-synchronised-for-cpu',
    kind: 'address',
    what: 'A received message is read without dma_sync_single_for_cpu.',
    source: `${DMA_API}, "Streaming DMA mappings"`,
    change: [
      ['    dma_sync_single_for_cpu(channel->dev, channel->addresses[slot], BUFFER_BYTES, DMA_FROM_DEVICE);\n', ''],
    ],
    line: 'is_right(channel->buffers[slot], number, length)',
    arches: ['amd64', 'arm64'],
  }),
  inModule({
    name: 'filled-after-mapping',
    kind: 'race',
    what: 'A message is written to its buffer after the buffer was mapped for the card.',
    source: `${DMA_API}, "Streaming DMA mappings"`,
    change: [
      ['    compose(channel->buffers[slot], number);\n    error = map(', '    error = map('],
      [
        '    if (!error)\n        put(channel, length_of(number));\n',
        '    compose(channel->buffers[slot], number);\n    if (!error)\n        put(channel, length_of(number));\n',
      ],
    ],
    line: 'compose(channel->buffers[slot], number);',
  }),
  inModule({
    name: 'filled-after-doorbell',
    kind: 'race',
    what: 'A message is written to its buffer when the card has been told to send it.',
    source: BARRIERS,
    change: [
      ['    compose(channel->buffers[slot], number);\n    error = map(', '    error = map('],
      [
        '    if (!error)\n        put(channel, length_of(number));\n',
        '    if (!error)\n        put(channel, length_of(number));\n    compose(channel->buffers[slot], number);\n',
      ],
    ],
    line: 'compose(channel->buffers[slot], number);',
    arches: ['amd64', 'arm64'],
  }),
  inModule({
    name: 'doorbell-relaxed',
    kind: 'barrier',
    what: 'The doorbell is written by writel_relaxed: arm64 may let it overtake the descriptor.',
    source: BARRIERS,
    change: [
      [
        '    writel(channel->producer, channel->registers + CHANNEL_REGISTER(DOORBELL));\n',
        '    writel_relaxed(channel->producer, channel->registers + CHANNEL_REGISTER(DOORBELL));\n',
      ],
    ],
    line: 'writel_relaxed(',
    arches: ['arm64'],
  }),
  inModule({
    name: 'owner-without-dma-wmb',
    kind: 'barrier',
    what: 'No dma_wmb between the fields of a descriptor and its owner bit.',
    source: BARRIERS,
    change: [['    dma_wmb();\n', '']],
    line: 'WRITE_ONCE(descriptor->control,',
    arches: ['arm64'],
  }),
  inModule({
    name: 'completion-without-dma-rmb',
    kind: 'barrier',
    what: 'No dma_rmb between the look at the owner bit and the read of the data.',
    source: BARRIERS,
    change: [['    dma_rmb();\n', '']],
    line: 'length = le32_to_cpu(channel->ring[slot].transferred);',
    named: /missing-barrier: .* receive\b.* no barrier orders the two/,
    arches: ['arm64'],
  }),
  inModule({
    name: 'lost-wake-up-in-kernel',
    kind: 'interrupt',
    what: 'The owner bit is looked at before the task is on the wait queue.',
    source: 'Linux include/linux/wait.h, prepare_to_wait',
    change: [
      [
        '    if (wait_event_timeout(channel->completed, is_complete(channel, slot), TIMEOUT))\n        return 0;\n',
        '    DEFINE_WAIT(wait);\n    long left = TIMEOUT;\n\n    if (!is_complete(channel, slot)) {\n        prepare_to_wait(&channel->completed, &wait, TASK_UNINTERRUPTIBLE);\n        left = schedule_timeout(TIMEOUT);\n        finish_wait(&channel->completed, &wait);\n    }\n    if (left > 0 && is_complete(channel, slot))\n        return 0;\n',
      ],
    ],
    line: 'prepare_to_wait(',
  }),
  inModule({
    name: 'timeout-without-stop',
    kind: 'lifetime',
    what: 'After a time-out the buffer is unmapped although the engine will still read it.',
    source: 'a class of reports: use after free behind a time-out; CWE-416',
    change: [
      [
        '    if (error && stop_engine(channel))\n        return error; /* the engine may still read the buffer: it stays mapped */\n',
        '',
      ],
    ],
    line: 'unmap(channel, slot, BUFFER_BYTES);',
    fault: {
      declarations: [
        { fault: 'dma-delayed', channel: 'H2C0', role: 'data', access: 'read', delayNs: 2_300_000_000, occurrence: 20 },
      ],
      expected: /is not complete within 2 s/,
    },
  }),
  inModule({
    name: 'length-unchecked',
    kind: 'error handling',
    what: "The length that the card reports is not compared with the buffer's size.",
    source: 'CWE-129; Linux: reports about malicious or broken devices',
    change: [
      [
        '    if (length > BUFFER_BYTES) {\n        dev_err(channel->dev, "descriptor %u says %u bytes, of %u\\n", slot, length, BUFFER_BYTES);\n        return -EIO;\n    }\n',
        '',
      ],
    ],
    line: 'is_right(channel->buffers[slot], number, length)',
    fault: {
      declarations: [
        {
          fault: 'dma-corrupted',
          channel: 'C2H0',
          role: 'descriptor',
          access: 'write',
          byte: 2,
          xor: 0x40,
          occurrence: 31,
        },
      ],
      expected: /exit code .*descriptor \d says \d+ bytes/,
    },
  }),
];
