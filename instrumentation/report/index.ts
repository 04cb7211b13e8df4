/** The HTML report: `exportHtml` makes it; `page` is what runs in the browser. */
export { exportHtml } from './export-html';
