/** Puts the page together, once its data has been unpacked. */
import { App } from './app';
import { Controls } from './controls';
import { Detail } from './detail';
import { byId, h, Palette } from './dom';
import { EventTable } from './event-table';
import { listFound } from './found';
import { Minimap } from './minimap';
import { TraceModel } from './model';
import { RegisterMap } from './registers';
import { type ReportHead, unpackReport } from './report';
import { Timeline } from './timeline';

async function inflated(text: string): Promise<Uint8Array> {
  const characters = atob(text);
  const packed = new Uint8Array(characters.length);
  for (let i = 0; i < packed.length; i++) packed[i] = characters.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function describe({ title, warnings, about, cards }: ReportHead): void {
  document.title = title;
  byId('title').textContent = cards.map(({ name }) => name).join(', ') || title;
  byId('title').title = title;
  document.body.classList.toggle('several-cards', cards.length > 1);
  byId('warnings').append(...warnings.map((warning) => h('p', {}, warning)));
  const facts = [
    ...about,
    ...cards.flatMap(({ name, what, faults }) => [
      [`card ${name}`, what],
      [`faults of ${name}`, ...(faults.length > 0 ? faults : ['none declared'])],
    ]),
  ];
  byId('about-facts').append(
    ...facts.flatMap(([name, ...values]) => [h('dt', {}, name), ...values.map((value) => h('dd', {}, value))]),
  );
  const notes = warnings.length > 0 ? warnings : ['The trace is whole: nothing in it was cut off, lost or not seen.'];
  byId('about-warnings').append(...notes.map((warning) => h('li', {}, warning)));
}

async function start(): Promise<void> {
  const report = unpackReport(await inflated(byId('data').textContent!.trim()));
  byId('data').remove();
  describe(report.head);
  const app = new App(new TraceModel(report));
  const palette = new Palette();
  listFound(app);
  new Controls(app, palette);
  new Timeline(app, palette);
  new Minimap(app, palette);
  new EventTable(app);
  new Detail(app);
  new RegisterMap(app);
  document.documentElement.dataset.ready = 'true';
}

start().catch((error: unknown) => {
  byId('warnings').append(
    h('p', {}, `This page cannot be shown: ${String(error)}. It needs a browser of 2023 or later.`),
  );
});
