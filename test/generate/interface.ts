/**
 * Reports of the public interface, one for each entry point: what can be imported, with its types. They are in the
 * repository, so that a change of the interface is seen in review.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';

const ROOT = join(__dirname, '../..');
/**
 * Their declarations in `dist`. Without `ghostcard/cards`, whose report would be the register maps again: the C headers
 * say when those change.
 */
export const ENTRY_POINTS = {
  'ghostcard': 'emulator/index',
  'ghostcard-dma': 'emulator/dma/index',
  'ghostcard-instrumentation': 'instrumentation/index',
  'ghostcard-guest': 'qemu/index',
  'ghostcard-vitest': 'harness/index',
};
type EntryPoint = keyof typeof ENTRY_POINTS;

export const reportPath = (name: EntryPoint): string => join(ROOT, 'packaging/interface', `${name}.api.md`);

/** The report as it should be. Needs `dist`. */
export function interfaceReport(name: EntryPoint): string {
  const declarations = join(ROOT, 'dist', `${ENTRY_POINTS[name]}.d.ts`);
  mkdirSync(join(ROOT, 'build'), { recursive: true });
  const folder = mkdtempSync(join(ROOT, 'build/interface-'));
  try {
    const config = ExtractorConfig.prepare({
      packageJsonFullPath: join(ROOT, 'package.json'),
      configObjectFullPath: join(ROOT, 'api-extractor.json'),
      configObject: {
        ...{ projectFolder: ROOT, mainEntryPointFilePath: declarations, newlineKind: 'lf' },
        compiler: {
          overrideTsconfig: {
            compilerOptions: {
              target: 'es2022',
              module: 'nodenext',
              strict: true,
              skipLibCheck: true,
              types: ['node'],
            },
            files: [declarations],
          },
        },
        apiReport: { enabled: true, reportFileName: 'report.api.md', reportFolder: folder, reportTempFolder: folder },
        docModel: { enabled: false },
        dtsRollup: { enabled: false },
        tsdocMetadata: { enabled: false },
        messages: {
          extractorMessageReporting: {
            'default': { logLevel: ExtractorLogLevel.None, addToApiReportFile: true },
            'ae-missing-release-tag': { logLevel: ExtractorLogLevel.None },
            'ae-undocumented': { logLevel: ExtractorLogLevel.None },
            // It knows one entry point at a time. That every type has a name in one of them is checked by `npm run docs`.
            'ae-forgotten-export': { logLevel: ExtractorLogLevel.None },
          },
        },
      },
    });
    Extractor.invoke(config, { localBuild: true, messageCallback: (message) => void (message.handled = true) });
    return readFileSync(join(folder, 'report.api.md'), 'utf8');
  } finally {
    rmSync(folder, { recursive: true });
  }
}
