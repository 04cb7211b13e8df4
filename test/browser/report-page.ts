/** An exported report in a browser, for tests. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { exportHtml } from '../../instrumentation/report';
import { type Trace } from '../../instrumentation/trace';
import { type Browser, type Page } from '../support/browser';
import { type Color, Picture } from '../support/png';

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** One line of a lane on the screen: its place, and the colour of its events. */
export interface DrawnRow {
  readonly lane: string;
  readonly label: string;
  readonly color: Color;
  readonly box: Box;
}

export class ReportPage {
  private constructor(
    readonly page: Page,
    readonly url: string,
  ) {}

  /** Writes the report to a folder and opens it from there. */
  static async open(
    browser: Browser,
    trace: Trace,
    folder: string,
    scheme: 'dark' | 'light' = 'dark',
    [width, height]: readonly [number, number] = [1440, 1400],
  ): Promise<ReportPage> {
    const file = join(folder, 'report.html');
    writeFileSync(file, exportHtml(trace));
    const page = await browser.page(width, height);
    await page.prefer(scheme);
    const report = new ReportPage(page, pathToFileURL(file).href);
    await page.open(report.url);
    await page.until("document.documentElement.dataset.ready === 'true'");
    await page.drawn();
    return report;
  }

  text(selector: string): Promise<string> {
    return this.page.evaluate(`document.querySelector(${JSON.stringify(selector)}).textContent`);
  }

  texts(selector: string): Promise<string[]> {
    return this.page.evaluate(
      `Array.from(document.querySelectorAll(${JSON.stringify(selector)}), (e) => e.textContent)`,
    );
  }

  /** The visible part of the time axis. */
  async view(): Promise<{ from: number; to: number }> {
    const [from, to] = (await this.page.evaluate<string>("document.getElementById('canvas').dataset.view"))
      .split(' ')
      .map(Number);
    return { from: from!, to: to! };
  }

  /** Marks drawn in the lanes by the last picture. */
  async marks(): Promise<number> {
    return Number(await this.page.evaluate("document.getElementById('canvas').dataset.marks"));
  }

  async picture(): Promise<Picture> {
    return Picture.of(await this.page.screenshot());
  }

  async search(text: string): Promise<void> {
    await this.page.click('#search');
    await this.page.evaluate("document.getElementById('search').select()");
    await this.page.type(text);
  }

  /** The selected row of the table, cell by cell. */
  selectedRow(): Promise<string[]> {
    return this.texts('#events-spacer .row[aria-selected="true"]:not([hidden]) .cell');
  }

  /** Every line of the lanes that is completely visible. */
  async rows(): Promise<DrawnRow[]> {
    return await this.page.evaluate(`(() => {
      const canvas = document.getElementById('canvas').getBoundingClientRect();
      const colorOf = (element) => getComputedStyle(element).color.match(/\\d+/g).slice(0, 3).map(Number);
      return Array.from(document.querySelectorAll('.lane'), (lane) => {
        let top = lane.getBoundingClientRect().top + 4;
        return Array.from(lane.querySelectorAll('.lane-row'), (row) => {
          const { height } = row.getBoundingClientRect();
          const box = { left: canvas.left, top, width: canvas.width, height: height - 2 };
          top += height;
          return { lane: lane.querySelector('.lane-name').textContent, label: row.textContent, color: colorOf(row), box };
        });
      }).flat().filter(({ box }) => box.top + box.height < canvas.bottom);
    })()`);
  }

  async row(lane: string, label = ''): Promise<DrawnRow> {
    const rows = await this.rows();
    const found = rows.find((row) => row.lane === lane && row.label === label);
    if (!found)
      throw new Error(`no row ${lane} ${label} among ${rows.map((row) => `${row.lane} ${row.label}`).join(', ')}`);
    return found;
  }
}
