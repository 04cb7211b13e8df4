/** The HTML report: `exportHtml` makes it; the code in `page` runs in the browser. */
export { exportHtml } from './export-html';
