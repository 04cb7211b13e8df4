/** The table of events in docs/tracing.md, made from the table of kinds. */
import { KIND_NAMES, KINDS, kindsNamed, type TraceEventKind } from '../../instrumentation/trace';

/** What there is to know of each kind of event; kinds that have all in common share a line. */
export function eventsTable(): string {
  const kinds = Object.keys(KINDS) as TraceEventKind[];
  const lines = [...new Set(kinds.map((kind) => KINDS[kind].about))].map((about) => {
    const alike = kinds.filter((kind) => KINDS[kind].about === about);
    const codes = alike.map((kind) => KINDS[kind].code).join(', ');
    return row([list(alike), codes, about, roleOf(alike[0]!), fieldsOf(alike[0]!)]);
  });
  const groups = KIND_NAMES.filter((name) => !(name in KINDS));
  return [
    row(['Event', 'Code', 'What it says', 'In a replay', 'Fields, as they lie in the file']),
    row(['---', '---', '---', '---', '---']),
    ...lines,
    '',
    `For \`--kind\`, ${groups.map((group) => `\`${group}\` stands for ${list(kindsNamed(group))}`).join(', and ')}.`,
  ].join('\n');
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
const list = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ');

function roleOf(kind: TraceEventKind): string {
  const { role, ...rest } = KINDS[kind];
  const conditions = Object.entries('stimulusIf' in rest ? rest.stimulusIf : {});
  return [
    { stimulus: 'done again', effect: 'compared', remark: 'left out' }[role],
    ...conditions.map(([name, value]) => `done again if \`${name}\` is \`${value}\``),
  ].join(', ');
}

const fieldsOf = (kind: TraceEventKind): string =>
  Object.entries<{ readonly form: string }>(KINDS[kind].fields)
    .flatMap(([name, { form }]) => (form === '' ? [] : [`\`${name}\`: ${form}`]))
    .join('; ');
