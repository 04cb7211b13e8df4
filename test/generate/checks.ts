/** The table of docs/checks.md, made from the table of checks, and an example of each notice, made by causing it. */
import { CHECK_DOCS } from '../../instrumentation/checks';
import { noticesOf } from '../support/check-examples';

export const checksTable = (): string =>
  [
    '| Name | What is noticed | The rule |',
    '| --- | --- | --- |',
    ...Object.entries(CHECK_DOCS).map(([name, { doc, source }]) => `| [\`${name}\`](#${name}) | ${doc} | ${source} |`),
  ].join('\n');

export const checkExamples = (): string =>
  Object.keys(CHECK_DOCS)
    .map((name) => `### ${name}\n\n\`\`\`text\n${wrapped(`my-card: ${noticesOf(name)[0]!.text}`)}\n\`\`\``)
    .join('\n\n');

const COLUMNS = 120;

function wrapped(text: string): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!;
    if (line.length + word.length >= COLUMNS) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.join('\n');
}
