/**
 * Descriptors that a client passes, over and over: after each case the runner counts what the server has open.
 *
 * Source: QEMU docs/interop/vfio-user.rst, "Client Disconnection", "VFIO_USER_DMA_UNMAP", "VFIO_USER_DEVICE_SET_IRQS".
 */
import { Command } from '../../../emulator/vfio-user/wire';
import { type Area, type Case } from '../case';
import { type Client } from '../client';
import { type Device } from '../device';
import { deviceInfoOf, mapOf, messageOf, setIrqsOf, unmapOf } from '../messages';
import { Unmet } from '../outcome';
import { type Trial } from '../trial';

const TIMES = 32;
const BASE = 0x1000_0000n;
const PAGE = 4096n;

/** Does something that passes descriptors so many times, in one session that then goes on. */
const again = (
  name: string,
  expects: string,
  section: string,
  step: (t: Trial, client: Client, device: Device) => Promise<unknown>,
): Case => ({
  name,
  section,
  expects: `${expects}, ${TIMES} times: the server has no more descriptors than before`,
  run: async (t) => {
    const { client, device } = await t.open();
    const before = t.openInServer();
    for (let i = 0; i < TIMES; i++) await step(t, client, device);
    await client.goesOn();
    const after = t.openInServer();
    // In the session, not only after it. What stays set up is one descriptor, and a mapping may keep another.
    if (before !== undefined && after !== undefined && after - before > TIMES / 4)
      throw new Unmet(`the server has ${after - before} descriptors more than before, in the session`);
  },
});

const irqOf = (device: Device): number =>
  device.irq(({ count, eventfd }) => count > 0 && eventfd, 'interrupt with eventfds').index;

export const descriptors: Area = {
  name: 'descriptors',
  about: 'descriptors that are passed over and over are closed',
  cases: [
    again('map-and-unmap', 'memory is mapped and unmapped', 'VFIO_USER_DMA_UNMAP', async (t, client) => {
      await client.accepted(Command.DMA_MAP, {
        payload: mapOf({ iova: BASE, sizeBytes: PAGE }),
        descriptors: [t.memory(4096)],
      });
      await client.accepted(Command.DMA_UNMAP, { payload: unmapOf(BASE, PAGE) });
    }),
    again('refused-map', 'a map is refused that has a descriptor', 'VFIO_USER_DMA_MAP', (t, client) =>
      client.refused(Command.DMA_MAP, {
        payload: mapOf({ iova: BASE, sizeBytes: 0n }),
        descriptors: [t.memory(4096)],
      }),
    ),
    again('overlapping-map', 'a map over another is refused', 'VFIO_USER_DMA_MAP', (t, client) =>
      client.ask(Command.DMA_MAP, {
        payload: mapOf({ iova: BASE, sizeBytes: PAGE }),
        descriptors: [t.memory(4096)],
      }),
    ),
    again('short-map', 'a map that is too short comes with a descriptor', 'VFIO_USER_DMA_MAP', (t, client) =>
      client.refused(Command.DMA_MAP, { payload: Buffer.alloc(8), descriptors: [t.memory(4096)] }),
    ),
    again('replaced-interrupt', 'an interrupt is connected again', 'VFIO_USER_DEVICE_SET_IRQS', (t, client, device) =>
      client.accepted(Command.DEVICE_SET_IRQS, {
        payload: setIrqsOf({ flags: 0x24, index: irqOf(device), count: 1 }),
        descriptors: t.eventfds(1),
      }),
    ),
    again('refused-interrupt', 'eventfds are refused', 'VFIO_USER_DEVICE_SET_IRQS', (t, client, device) =>
      client.refused(Command.DEVICE_SET_IRQS, {
        payload: setIrqsOf({ flags: 0x24, index: irqOf(device), start: 0xffff_ffff, count: 1 }),
        descriptors: t.eventfds(1),
      }),
    ),
    again(
      'interrupt-on-and-off',
      'an interrupt is connected and disabled',
      'VFIO_USER_DEVICE_SET_IRQS',
      async (t, client, device) => {
        const index = irqOf(device);
        await client.accepted(Command.DEVICE_SET_IRQS, {
          payload: setIrqsOf({ flags: 0x24, index, count: 1 }),
          descriptors: t.eventfds(1),
        });
        await client.accepted(Command.DEVICE_SET_IRQS, { payload: setIrqsOf({ flags: 0x21, index, count: 0 }) });
      },
    ),
    again('with-a-command', 'a command that takes none comes with descriptors', 'Header', (t, client) =>
      client.ask(Command.DEVICE_GET_INFO, { payload: deviceInfoOf(), descriptors: t.eventfds(2) }),
    ),
    again('with-an-unknown-command', 'an unknown command comes with descriptors', 'Header', (t, client) =>
      client.refused(4711, { descriptors: t.eventfds(2) }),
    ),
    {
      name: 'with-half-a-message',
      section: 'Client Disconnection',
      expects: `a client goes after half a message with descriptors, ${TIMES} times: the server keeps none`,
      run: async (t) => {
        const message = messageOf({ command: Command.DMA_MAP, payload: mapOf({ iova: BASE, sizeBytes: PAGE }) });
        for (let i = 0; i < (t.isSingleShot ? 2 : TIMES); i++) {
          const client = await t.session();
          client.send(message.subarray(0, 20), t.eventfds(3));
          client.close();
        }
      },
    },
  ],
};
