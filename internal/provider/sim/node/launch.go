package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// InitArg is the first argument of every process that this package makes of the running binary. A
// program that uses the package calls [Main] before anything else when it finds InitArg in
// os.Args[1].
const InitArg = "__machine"

// What a process is to be; the argument after InitArg.
const (
	roleInit             = "init"               // PID 1 of an isolated machine
	roleRestrict         = "restrict"           // gives up privileges, then becomes roleServe
	roleServe            = "serve"              // the SSH server
	roleFiles            = "files"              // serves SFTP on its standard input and output
	roleCloudInit        = "cloud-init"         // applies the cloud-config it reads from its standard input
	roleSession          = "session"            // runs the user's ~/.ssh/rc and then the session's program
	roleCloudInitCommand = "cloud-init-command" // cloud-init as a user calls it
	roleNvidiaSMI        = "nvidia-smi"         // prints what a GPU would be like
	roleTree             = "tree"               // sends a mount of a host directory to the process that started it
)

// File descriptors given to roleInit, roleRestrict and roleServe.
const (
	fdConfig  = 3 // the configuration, to its end
	fdReply   = 4 // "ok" once the machine is ready, else why it is not
	fdSSH     = 5 // the listening SSH socket
	fdControl = 6 // the listening control socket; roleInit only
)

const replyOK = "ok"

// config is what the server tells a machine's processes. It travels through a pipe because
// arguments and environment can be read by others.
type config struct {
	Dir        string // host path; of no meaning once the file tree is built
	Hostname   string
	Keys       []string // for the machine's authorized_keys, at its first start
	HostKeys   []string // private
	PublicKeys []string // the same keys' public halves
	GPUs       GPUs
	OS         string
	Volumes    map[string]string
	CloudInit  string
	Isolated   bool
	Executable string // host path of the running binary
	SwitchRoot bool   // the server is root: become the mapped root after the host's directories were opened
	Probe      bool   // build the file tree, answer, and end
}

// Main is the whole life of a process that was started with InitArg. It does not return.
func Main() {
	role := ""
	if len(os.Args) > 2 {
		role = os.Args[2]
	}
	var err error
	switch role {
	case roleInit:
		err = runInit()
	case roleRestrict:
		err = runRestrict()
	case roleServe:
		err = runServe()
	case roleFiles:
		err = runFiles()
	case roleCloudInit:
		err = runCloudInit()
	case roleSession:
		err = runSession()
	case roleCloudInitCommand:
		err = runCloudInitCommand()
	case roleNvidiaSMI:
		err = runNvidiaSMI()
	case roleTree:
		err = runTree()
	default:
		err = fmt.Errorf("%s %s is for the server's own use", filepath.Base(os.Args[0]), InitArg)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "machine:", role+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// launch starts the machine's first process and returns when the machine is ready. started is
// called with the process's id before the machine does anything. After an error nothing is left
// running.
func launch(ctx context.Context, cfg config, ssh *net.TCPListener, started func(pid int) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, errors.New("the machine did not become ready in time"))
	defer cancel()

	f, err := openLaunchFiles(cfg, ssh)
	defer f.close()
	if err != nil {
		return err
	}
	role := roleServe
	if cfg.Isolated {
		role = roleInit
	}
	if cfg.Executable, err = os.Executable(); err != nil {
		return err
	}
	cfg.SwitchRoot = cfg.Isolated && os.Geteuid() == 0

	cmd := exec.Command(selfExecutable(), InitArg, role)
	cmd.Stdout, cmd.Stderr = f.log, f.log
	cmd.ExtraFiles = f.child
	cmd.Env = smallProcess(nil)
	cmd.Dir = "/"
	ownSession(cmd)
	if cfg.Isolated {
		isolate(cmd)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the machine's first process: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		// Whenever it ends, tomorrow or next week, its parent has to take notice of it.
		_ = cmd.Wait()
		close(ended)
	}()
	fail := func(err error) error {
		_ = cmd.Process.Kill()
		<-ended
		return err
	}
	if err := started(cmd.Process.Pid); err != nil {
		return fail(err)
	}
	f.configR.Close()
	f.replyW.Close()
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	err = json.NewEncoder(f.configW).Encode(cfg)
	f.configW.Close()
	if err != nil {
		return fail(fmt.Errorf("send the machine its configuration: %w", err))
	}
	reply, err := io.ReadAll(io.LimitReader(f.replyR, 64<<10))
	switch answer := strings.TrimSpace(string(reply)); {
	case ctx.Err() != nil:
		return fail(context.Cause(ctx))
	case err != nil:
		return fail(err)
	case answer == "":
		return fail(errors.New("the machine ended while it started; see " + filepath.Join(cfg.Dir, logFile)))
	case answer != replyOK:
		return fail(errors.New(answer))
	}
	if cfg.Probe {
		<-ended
	}
	return nil
}

// launchFiles are the files of one launch: those that the child gets, and the other ends of its
// pipes. All are closed when the launch is over, however it went.
type launchFiles struct {
	configR, configW, replyR, replyW *os.File
	log                              *os.File
	child                            []*os.File // beside the standard ones, in the order that the child expects
	all                              []*os.File
}

func openLaunchFiles(cfg config, ssh *net.TCPListener) (f *launchFiles, err error) {
	f = &launchFiles{}
	if f.configR, f.configW, err = f.pipe(); err != nil {
		return f, err
	}
	if f.replyR, f.replyW, err = f.pipe(); err != nil {
		return f, err
	}
	f.log, err = f.keep(os.OpenFile(filepath.Join(cfg.Dir, logFile), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600))
	if err != nil {
		return f, err
	}
	f.child = []*os.File{f.configR, f.replyW}
	if cfg.Probe {
		return f, nil
	}
	listener, err := f.keep(ssh.File())
	if err != nil {
		return f, err
	}
	f.child = append(f.child, listener)
	if cfg.Isolated {
		control, err := f.keep(controlListener(cfg.Dir))
		if err != nil {
			return f, err
		}
		f.child = append(f.child, control)
	}
	return f, nil
}

func (f *launchFiles) keep(file *os.File, err error) (*os.File, error) {
	if err == nil {
		f.all = append(f.all, file)
	}
	return file, err
}

func (f *launchFiles) pipe() (r, w *os.File, err error) {
	if r, w, err = os.Pipe(); err == nil {
		f.all = append(f.all, r, w)
	}
	return r, w, err
}

func (f *launchFiles) close() {
	for _, file := range f.all {
		file.Close()
	}
}

// smallProcess adds to an environment what keeps a Go process of a machine small: there may be
// dozens.
func smallProcess(env []string) []string {
	return append(env, "GOMAXPROCS=1", "GOGC=25", "GOMEMLIMIT=64MiB", "PATH="+guestPath)
}

// readConfig reads what launch or roleInit sent.
func readConfig() (config, error) {
	var cfg config
	f := os.NewFile(fdConfig, "configuration")
	defer f.Close()
	// When the sender died before it knew this process, the pipe is empty, and this process ends.
	if err := json.NewDecoder(f).Decode(&cfg); err != nil {
		return cfg, fmt.Errorf("read the configuration: %w", err)
	}
	return cfg, nil
}

// answer tells launch how the start went and lets go of the reply pipe.
func answer(err error) {
	f := os.NewFile(fdReply, "reply")
	defer f.Close()
	text := replyOK
	if err != nil {
		text = err.Error()
	}
	_, _ = io.WriteString(f, text)
}

var isolation struct {
	sync.Mutex
	known    bool
	isolated bool
	reason   error
}

// Isolation reports whether machines can be isolated on this host, and if not, why. It finds out by
// building a machine's file tree in new namespaces once, and remembers the answer as long as the
// process lives. dir is a folder that only this process uses: what was begun there by one that was
// killed meanwhile is removed.
func Isolation(ctx context.Context, dir string) (bool, error) {
	isolation.Lock()
	defer isolation.Unlock()
	if isolation.known {
		return isolation.isolated, isolation.reason
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = probe(ctx, filepath.Join(dir, probeDir))
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	isolation.known, isolation.isolated, isolation.reason = true, err == nil, err
	return isolation.isolated, isolation.reason
}

func probe(ctx context.Context, dir string) (err error) {
	if !canIsolate {
		return errors.New("only Linux has the namespaces that isolate a machine")
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := prepareDisk(dir, true); err != nil {
		return err
	}
	cfg := config{Dir: dir, Hostname: "probe", Isolated: true, Probe: true}
	return launch(ctx, cfg, nil, func(int) error { return nil })
}
