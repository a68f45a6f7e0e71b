// Command mutate measures the tests: it changes the code of packages that move money or machines,
// one small change at a time, and runs the package's own tests. A change that no test notices
// survives, and is printed.
//
// The changes are drawn by a seed, so a run can be repeated. The code is replaced with go's
// -overlay; no file of the repository is written. Before the first change, the tests of each
// package must pass without one. Only SQLite is used.
//
// Survivors that change nothing that a test could observe are listed in equivalent.txt, each with
// its reason.
package main
