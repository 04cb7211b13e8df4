export const TESTS_PER_FILE = 8;
