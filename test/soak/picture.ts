/** A soak as a picture: what was verified, and what was taken, over time. */
import { type Spec } from 'vega';
import { type Sample } from './samples';

const WIDTH = 900;
const HEIGHT = 130;

const PANELS: readonly { readonly title: string; readonly fields: readonly (keyof Sample)[] }[] = [
  { title: 'DMA verified, MiB/s', fields: ['verifiedMiBPerSecond'] },
  { title: 'memory, MiB: resident and heap', fields: ['residentMiB', 'heapMiB'] },
  { title: 'descriptors', fields: ['descriptors'] },
  { title: 'processes', fields: ['processes'] },
];
const COLOURS = ['#1b6ca8', '#c4622d'];

/** An SVG document. */
export async function pictureOf(samples: readonly Sample[], title: string): Promise<string> {
  const { parse, View } = await import('vega'); // it cannot be required: it awaits while it is loaded
  const spec: Spec = {
    background: 'white',
    padding: 10,
    title: { text: title, anchor: 'start' },
    layout: { columns: 1, padding: 30 },
    data: [{ name: 'samples', values: samples.map((sample) => ({ ...sample, minutes: sample.seconds / 60 })) }],
    marks: PANELS.map(({ title: text, fields }) => ({
      type: 'group',
      encode: { enter: { width: { value: WIDTH }, height: { value: HEIGHT } } },
      title: { text, anchor: 'start', fontWeight: 'normal' },
      scales: [
        { name: 'x', type: 'linear', range: [0, WIDTH], domain: { data: 'samples', field: 'minutes' }, zero: true },
        {
          ...{ name: 'y', type: 'linear', range: [HEIGHT, 0], nice: true, zero: true },
          domain: { fields: fields.map((field) => ({ data: 'samples', field })) },
        },
      ],
      axes: [
        { orient: 'bottom', scale: 'x', title: 'minutes', tickCount: 12 },
        { orient: 'left', scale: 'y', tickCount: 5, grid: true },
      ],
      marks: fields.map((field, index) => ({
        type: 'line',
        from: { data: 'samples' },
        encode: {
          enter: {
            ...{ x: { scale: 'x', field: 'minutes' }, y: { scale: 'y', field } },
            stroke: { value: COLOURS[index]! },
            strokeWidth: { value: 1 },
          },
        },
      })),
    })),
  };
  return await new View(parse(spec), { renderer: 'none' }).toSVG();
}
