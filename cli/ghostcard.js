#!/usr/bin/env node
// Starts the command line. Nothing is loaded to print the version.
'use strict';
const [, , argument, ...rest] = process.argv;
if ((argument === '--version' || argument === '-V') && rest.length === 0) {
  console.log(require('../../package.json').version);
} else {
  void require('./main.js').main(process.argv);
}
