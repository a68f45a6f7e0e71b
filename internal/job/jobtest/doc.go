// Package jobtest helps tests of handlers of jobs: it has a run lose its job in the middle.
package jobtest
