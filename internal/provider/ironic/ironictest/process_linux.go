package ironictest

import "syscall"

// attributes have Ironic end with the tests, also where these are killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
