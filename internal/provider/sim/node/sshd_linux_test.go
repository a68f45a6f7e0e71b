package node

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"
)

// judge is a real sshd inside the machine: it has the same files, programs and users as the
// machine's own server, so whatever differs is the server's doing.
const judge = `set -e
mkdir -p /run/sshd /run/judge
echo 'sshd:x:100:65534::/run/sshd:/usr/sbin/nologin' >> /etc/passwd
for kind in ed25519 rsa ecdsa; do ssh-keygen -q -t $kind -N '' -f /run/judge/$kind; done
cat > /run/judge/config <<X
Port 2200
ListenAddress 127.0.0.1
HostKey /run/judge/ed25519
HostKey /run/judge/rsa
HostKey /run/judge/ecdsa
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintLastLog no
X11Forwarding yes
XAuthLocation /bin/true
AcceptEnv LANG LC_* COLORTERM NO_COLOR
Subsystem sftp /usr/lib/openssh/sftp-server
X
/usr/sbin/sshd -f /run/judge/config -E /run/judge/log
until exec 3<>/dev/tcp/127.0.0.1/2200; do :; done 2>/dev/null
`

// place is one of the two servers, and how clients reach it.
type place struct {
	t          *testing.T
	name       string
	host, port string
	login      login
	agent      string // socket of the client's SSH agent
	inside     *gossh.Client
	dir        string // the client's own files
}

// places starts a machine with both servers.
func places(t *testing.T) (sshd, machine place) {
	for _, program := range []string{"ssh", "scp", "sftp", "ssh-copy-id", "ssh-keyscan", "ssh-agent",
		"/usr/sbin/sshd"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("no %s here; scripts/need.sh installs it", program)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("sshd needs several user ids, which a machine has only where the server is root; CI is")
	}
	l := newLogin(t)
	e := started(t, testSpec(t, l))
	c := connect(t, e, l)
	must(t, c, judge)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				to, err := c.Dial("tcp", "127.0.0.1:2200")
				if err != nil {
					from.Close()
					return
				}
				join(to.(gossh.Channel), from.(*net.TCPConn))
			}()
		}
	}()
	agent := startAgent(t, l.file)
	at := func(name, address string) place {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		return place{t: t, name: name, host: host, port: port, login: l, agent: agent, inside: c, dir: t.TempDir()}
	}
	return at("sshd", listener.Addr().String()), at("machine", e.Address.String())
}

// startAgent starts an SSH agent that holds a key and ends with the test.
func startAgent(t *testing.T, key string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	cmd := exec.Command("ssh-agent", "-D", "-a", socket)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(t, "the agent", func() bool {
		add := exec.Command("ssh-add", "-q", key)
		add.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
		return add.Run() == nil
	})
	return socket
}

func (p place) options() []string {
	return []string{
		"-F", "/dev/null", "-i", p.login.file, "-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no",
		"-o", "BatchMode=yes",
		"-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR",
	}
}

// call runs a client's program and returns its exit status and what it printed, without what
// differs by place and run.
func (p place) call(stdin, program string, args ...string) string {
	p.t.Helper()
	cmd := exec.CommandContext(within(p.t), program, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK="+p.agent, "TERM=xterm", "LANG=C.UTF-8", "DISPLAY=:9")
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	if _, is := errors.AsType[*exec.ExitError](err); err != nil && !is {
		p.t.Fatalf("%s %v: %v", program, args, err)
	}
	text := fmt.Sprintf("exit %d\n%s", cmd.ProcessState.ExitCode(), out.String())
	if stderr.Len() > 0 {
		text += "errors: " + stderr.String()
	}
	return p.plain(text)
}

var changing = []*regexp.Regexp{
	regexp.MustCompile(`127\.0\.0\.1 [0-9]+ 127\.0\.0\.1 [0-9]+`),
	regexp.MustCompile(`127\.0\.0\.1 [0-9]+ 127\.77\.[0-9.]+ [0-9]+`),
	regexp.MustCompile(`(127\.0\.0\.1|127\.77\.[0-9.]+)( port|:)? [0-9]+( [0-9]+)?`),
	regexp.MustCompile(`/tmp/ssh-[A-Za-z0-9]+/agent\.[0-9]+`),
	regexp.MustCompile(`/dev/pts/[0-9]+`), regexp.MustCompile(`[A-Z][a-z][a-z] +[0-9]+ [0-9][0-9]:[0-9][0-9]`),
}

func (p place) plain(text string) string {
	for _, expression := range changing {
		text = expression.ReplaceAllStringFunc(text, func(found string) string {
			return strings.Repeat("~",
				len(strings.Fields(found)))
		})
	}
	for _, own := range []string{p.dir, p.host} {
		text = strings.ReplaceAll(text, own, "~")
	}
	return strings.ReplaceAll(text, "\r", "")
}

// ssh runs a command; options come before it.
func (p place) ssh(stdin string, args ...string) string {
	p.t.Helper()
	return p.call(stdin, "ssh", append(append(p.options(), "-p", p.port, "root@"+p.host), args...)...)
}

func (p place) sshWith(options []string, args ...string) string {
	p.t.Helper()
	return p.call("", "ssh", append(append(append(p.options(), options...), "-p", p.port, "root@"+p.host), args...)...)
}

// client logs in with Go's client, for what the program ssh does only on a terminal of its own.
func (p place) client(l login) (*gossh.Client, error) {
	return gossh.Dial("tcp", net.JoinHostPort(p.host, p.port), &gossh.ClientConfig{
		User: User, Auth: []gossh.AuthMethod{gossh.PublicKeys(l.signer)},
		HostKeyCallback: gossh.InsecureIgnoreHostKey(), Timeout: patience,
	})
}

// prepare changes files of the machine, for both servers.
func (p place) prepare(command string) {
	p.t.Helper()
	must(p.t, p.inside, command)
}

// comparison is a row of the table in docs/simulator.md: what is done at both places, and whether
// the same returns.
type comparison struct {
	what   string // the row's first column
	differ bool   // on purpose; the row says why
	do     func(p place) string
	want   string // must be in what the machine returns, so that two empty answers are not taken for a success
}

// TestAMachineAnswersAsSSHDDoes does each thing at a real sshd and at the machine's own server, and
// holds the table in docs/simulator.md to the result.
func TestAMachineAnswersAsSSHDDoes(t *testing.T) {
	t.Parallel()
	rows := documented(t)
	sshd, machine := places(t)
	for _, c := range comparisons {
		if want := map[bool]string{false: "same", true: "different"}[c.differ]; rows[c.what] != want {
			t.Errorf("docs/simulator.md says %q of %q; it is %s", rows[c.what], c.what, want)
		}
		delete(rows, c.what)
		t.Run(c.what, func(t *testing.T) {
			sshd.t, machine.t = t, t
			want, got := c.do(sshd), c.do(machine)
			if c.differ && want == got {
				t.Errorf("both answer %s", got)
			}
			if text := differences(want, got); text != "" && !c.differ {
				t.Error(text)
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("the machine's answer lacks %q:\n%s", c.want, got)
			}
		})
	}
	for row, verdict := range rows {
		if verdict != "not compared" {
			t.Errorf("docs/simulator.md has a row that nothing is compared for: %q", row)
		}
	}
}

// differences returns the lines that are not the same.
func differences(sshd, machine string) string {
	var b strings.Builder
	a, c := strings.Split(sshd, "\n"), strings.Split(machine, "\n")
	for i := range max(len(a), len(c)) {
		var theirs, ours string
		if i < len(a) {
			theirs = a[i]
		}
		if i < len(c) {
			ours = c[i]
		}
		if theirs != ours {
			fmt.Fprintf(&b, "\nline %d\nsshd    %s\nmachine %s", i+1, theirs, ours)
		}
	}
	return b.String()
}

// documented returns the rows of the table in docs/simulator.md: what, and how the second column
// begins.
func documented(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../../../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "| Over SSH | Beside sshd |")
	if !ok {
		t.Fatal("docs/simulator.md has no table of SSH")
	}
	rows := map[string]string{}
	for _, line := range strings.Split(table, "\n")[2:] {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			break
		}
		verdict, _, _ := strings.Cut(strings.TrimSpace(cells[2]), ":")
		rows[strings.TrimSpace(cells[1])] = verdict
	}
	return rows
}
