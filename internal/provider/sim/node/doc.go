// Package node is a simulated machine: a real SSH server on a loopback address of its own, with a
// file tree, processes and a network of its own, so that everything a user does with a rented
// machine (log in, copy files, run a job, attach a volume, switch it off and on) can be done
// without renting one.
//
// # Owns
//
// The life of one machine in one directory: its files, its host keys, its address, its processes.
// The directory is the whole truth; a server that was restarted finds its machines again with
// [Running].
//
//	<dir>/state.json    process, its start time, address, public host keys (0600)
//	<dir>/host_key      private host key (0600), kept over power-off and power-on; likewise
//	                    host_key_rsa and host_key_ecdsa
//	<dir>/lock          held while a machine is started, stopped or wiped
//	<dir>/control.sock  attach and detach a volume; never visible inside the machine
//	<dir>/machine.log   what the machine's own processes have to say
//	<dir>/probe/        there while it is found out whether machines can be isolated here
//	<dir>/disk/         root, home, opt, srv, var, usr-local: the machine's persistent files
//
// # Does not own
//
// Offers, prices, deployments and their states, which address belongs to which machine, where
// volumes live and to whom they belong: the simulator provider decides these and passes them in as
// a [Spec].
//
// # Shape
//
// [Start] opens the listener and executes the running binary again with [InitArg], in new user,
// mount, PID, UTS, IPC and network namespaces. A socket belongs to the network namespace it was
// made in, so the machine listens outside and lives inside. Two processes make a machine:
//
//   - init, PID 1: builds the file tree, then only reaps orphans and mounts volumes. It keeps
//     CAP_SYS_ADMIN in the machine's user namespace (which is nothing on the host) and never runs a
//     program of the user.
//   - the SSH server: gives up everything dangerous before it reads its first byte from the
//     network, so all sessions inherit that.
//
// Both survive the server that started them. Ending PID 1 ends every process of the machine.
//
// # Invariants
//
//   - At most one machine runs per directory; [Start] on a running one returns its endpoint
//     unchanged.
//   - Only keys get in, only as root: those of the machine's own authorized_keys, which begins with
//     the keys of the Spec and decides alone. A line with an option that is not supported lets
//     no one in.
//   - What OpenSSH's sshd does over SSH, a machine does; what differs on purpose stands in
//     docs/simulator.md, and a test holds that table to a real sshd.
//   - Nothing that a session can open leads to a host file outside the machine's disk, its volumes
//     and the read-only programs of the host.
//   - A volume's files are written to its host directory and nowhere else; nothing of a volume
//     stays reachable after [DetachVolume] returned nil.
//   - All machines of a root server use the same range of host ids, so a volume can move between
//     them.
//   - Output that speaks of GPUs says that they are simulated.
//   - Without namespaces a machine is started only where the Spec accepts that ([ErrUnisolated]),
//     and says loudly that it is not isolated; as root [Start] refuses ([ErrUnisolatedRoot]), since
//     the "machine's root" would be the host's.
//
// # What a session can reach
//
//	thing                        isolated machine                plain machine (no namespaces)
//	host programs (/usr, /lib)   read only                       as the server's user
//	/etc                         small, its own, forgotten at stopthe host's, as the server's user
//	own files (/root, /var, …)   yes, persistent                 <dir>/disk/root only (as HOME)
//	other host files             no                              as the server's user
//	its volumes                  /mnt/<name>, nosuid, nodev      $HOME/mnt/<name>, a symbolic link
//	/etc/passwd names, hostname  its own                         the host's
//	host processes               no                              as the server's user
//	processes of other machines  no                              as the server's user
//	host loopback services       no                              yes
//	internet                     no                              yes
//	mount, new namespaces        no                              as the server's user
//	set-user-id programs         without effect                  as the server's user
//	keys of the kernel keyring   no                              as the server's user
//	host paths of its own mounts names, in /proc/self/mountinfo  as the server's user
//	real GPUs                    no                              as the server's user
//	memory, CPU, disk space      the host's, without a limit     the host's
//
// This is isolation for a cloud that you run on your own computer for yourself: a mistake inside
// does no harm outside. It is NOT a wall against hostile tenants: there is no seccomp filter, no
// cgroup, no disk quota, and every kernel interface that an unprivileged process has is open. A
// session may exhaust the host's memory, CPU or disk.
//
// Isolation needs Linux 5.12 or newer and permission to make user namespaces. Packages cannot be
// installed inside: /usr belongs to the host, and there is no internet. /usr/local, /opt, /srv,
// /var and /home are writable.
//
// On a plain machine, [Stop] ends the SSH server and the process groups of its sessions; a process
// that left its process group on purpose (setsid) is not found.
package node
