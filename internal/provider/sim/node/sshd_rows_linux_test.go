package node

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// comparisons are in the order of the table in docs/simulator.md.
var comparisons = []comparison{
	{what: "Input, output, errors, exit status", want: "exit 7", do: func(p place) string {
		return p.ssh("hello\n", "cat; echo out; echo err >&2; exit 7") + p.ssh("", "exec 0<&-; true") + p.ssh("",
			"no-such-command") +
			p.ssh("", "readlink /proc/self/fd/[012] | cut -d: -f1; cat /proc/self/limits | grep -i core")
	}},
	{what: "A command that a signal ends", want: "", do: func(p place) string {
		text := ""
		for _, signal := range []string{"TERM", "KILL", "VTALRM"} {
			c, err := p.client(p.login)
			if err != nil {
				return err.Error()
			}
			r := run(p.t, c, "kill -"+signal+" $$")
			text += fmt.Sprintf("%d %q %q\n", r.code, r.signal, r.err)
			c.Close()
		}
		return text
	}},
	{what: "Signals that a client sends", differ: true, want: "got USR1", do: func(p place) string {
		return p.interact(func(s *gossh.Session, in io.Writer, out io.Reader) string {
			if err := s.Start("trap 'echo got USR1; exit 3' USR1; echo ready; " + waiting); err != nil {
				return err.Error()
			}
			readUntil(p.t, out, "ready")
			if ok, err := s.SendRequest("signal", true, gossh.Marshal(struct{ Name string }{"USR1"})); !ok {
				return fmt.Sprint("refused ", err)
			}
			return readUntil(p.t, out, "USR1") + fmt.Sprint(s.Wait())
		})
	}},
	{what: "A client that reads no more (`ssh m yes`, piped into `head -1`)", want: "y", do: func(p place) string {
		quoted := "ssh " + strings.Join(append(p.options(), "-p", p.port, "root@"+p.host), " ")
		return p.call("", "sh", "-c", quoted+" 'yes; echo $? >&2' | head -1")
	}},
	{what: "A process in the background that holds the output", want: "late", do: func(p place) string {
		return p.ssh("", "(sleep 0.3; echo late) & echo early") + p.ssh("",
			"sleep 1000 >/dev/null 2>&1 </dev/null & echo not waited for")
	}},
	{what: "Environment, directory, umask of a command", want: "SSH_CLIENT=", do: func(p place) string {
		return p.ssh("", "env | grep -v '^LANG=' | sort; pwd; umask; echo $0 $-; cat /proc/$$/cmdline | tr '\\0' ' '")
	}},
	{what: "The same of a login shell", want: "login_shell", do: func(p place) string {
		return p.ssh("env | grep -v '^LANG=' | sort; pwd; umask; echo $0; shopt login_shell; exit 4\n", "-T")
	}},
	{what: "The same on a terminal", want: "SSH_TTY=", do: func(p place) string {
		return p.sshWith([]string{"-tt"},
			"env | grep -v '^LANG=' | sort; tty; stat -c '%U %G %a' $(tty); "+
				"[ -t 0 ] && [ -t 2 ] && ps -o tty= -p $$ | grep -c pts")
	}},
	{what: "`~/.bashrc` for commands", want: "rc 3", do: func(p place) string {
		p.prepare("cp ~/.bashrc /tmp/bashrc; echo 'export MARK=rc' >> ~/.bashrc")
		defer p.prepare("mv /tmp/bashrc ~/.bashrc")
		return p.ssh("", `echo $MARK $(echo $SSH_CLIENT | wc -w)`)
	}},
	{what: "`/etc/profile`, `/etc/profile.d`, `~/.profile` and `~/.bashrc` for login shells", want: "d rc 3 4",
		do: func(p place) string {
			p.prepare("cp ~/.bashrc /tmp/bashrc; echo 'MARK=rc' >> ~/.bashrc; echo 'PROFILE=d' > /etc/profile.d/x.sh")
			defer p.prepare("mv /tmp/bashrc ~/.bashrc; rm /etc/profile.d/x.sh")
			return p.ssh("echo $PROFILE $MARK $(echo $SSH_CLIENT | wc -w) $(echo $SSH_CONNECTION | wc -w)\n", "-T") +
				p.ssh("", "echo none: $PROFILE")
		}},
	{what: "`~/.ssh/rc`, `/etc/ssh/sshrc`", want: "from rc\n-bash", do: func(p place) string {
		p.prepare("echo 'echo system rc' > /etc/ssh/sshrc")
		text := p.ssh("", "echo $0")
		p.prepare("echo 'echo from rc; cat' > ~/.ssh/rc")
		defer p.prepare("rm ~/.ssh/rc /etc/ssh/sshrc")
		return text + p.ssh("", "echo $0") + p.ssh("echo $0\n", "-T") + p.sshWith([]string{"-tt"}, "tty </dev/tty")
	}},
	{what: "`/etc/motd`, `~/.hushlogin`", want: "true", do: func(p place) string {
		greeted := func() string {
			out := p.sshOnTerminal("exit 0\n") // what is typed is echoed before or after the greeting
			return fmt.Sprint(strings.Contains(out, "SIMULATED machine"), strings.Contains(out, "\n  Changed\n\n"))
		}
		text := greeted() + p.sshWith([]string{"-tt"}, "echo command")
		p.prepare("cp /etc/motd /tmp/motd; printf '\n  Changed\n\n' >> /etc/motd")
		defer p.prepare("mv /tmp/motd /etc/motd")
		text += greeted()
		p.prepare("touch ~/.hushlogin")
		defer p.prepare("rm ~/.hushlogin")
		return text + greeted()
	}},
	{what: "A changed shell, a missing home directory", want: "Could not chdir", do: func(p place) string {
		p.prepare("cp /etc/passwd /tmp/passwd; sed -i 's,^root:.*,root:x:0:0::/nowhere:/bin/sh,' /etc/passwd; " +
			"mkdir /nowhere /nowhere/.ssh; " +
			"cp ~/.ssh/authorized_keys /nowhere/.ssh")
		text := p.ssh("", "pwd; echo $0 $HOME $SHELL")
		c, err := p.client(p.login)
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		p.prepare("rm -r /nowhere; cp /tmp/passwd /etc/passwd")
		r := run(p.t, c, "pwd; echo $0")
		return text + r.out + strings.ReplaceAll(r.err, "\r", "")
	}},
	{what: "Variables that a client sends", want: "LC_TIME=C", do: func(p place) string {
		return p.sshWith([]string{"-o", "SetEnv=LC_TIME=C COLORTERM=truecolor NO_COLOR=1 " +
			"TZ=Asia/Tokyo FOO=1 LD_PRELOAD=/x.so PATH=/x LANG=de_DE.UTF-8"},
			"env | grep -E '^(LC|COLOR|NO_|TZ|FOO|LD|PATH|LANG)' | sort")
	}},
	{what: "`/etc/environment`, `/etc/default/locale`", differ: true, want: "EVERYWHERE=yes C.UTF-8",
		do: func(p place) string {
			p.prepare(`echo 'export EVERYWHERE="yes" # really' > /etc/environment`)
			defer p.prepare(": > /etc/environment")
			return p.ssh("", "echo EVERYWHERE=$EVERYWHERE $LANG")
		}},
	{what: "Terminal modes", want: "erase = ^H", do: func(p place) string {
		modes := gossh.TerminalModes{
			gossh.VERASE: 8, gossh.VINTR: 24, gossh.VQUIT: 255, gossh.VEOL: 7, gossh.VWERASE: 1, gossh.ECHO: 0,
			gossh.IUTF8: 1, gossh.IXON: 0,
			gossh.ICRNL: 0, gossh.ONLCR: 1, gossh.OCRNL: 1, gossh.ISIG: 0, gossh.ICANON: 0, gossh.TTY_OP_ISPEED: 9600,
			gossh.TTY_OP_OSPEED: 9600,
			gossh.PARENB:        1, gossh.CS7: 1, gossh.CS8: 0, gossh.ECHOCTL: 0, gossh.IMAXBEL: 1,
		}
		return p.interact(func(s *gossh.Session, in io.Writer, out io.Reader) string {
			if err := s.RequestPty("xterm-256color", 40, 100, modes); err != nil {
				return err.Error()
			}
			b, err := output(s, out, "stty -a; echo $TERM")
			return b + fmt.Sprint(err)
		})
	}},
	{what: "Size of the terminal and its changes", want: "50 132", do: func(p place) string {
		return p.interact(func(s *gossh.Session, in io.Writer, out io.Reader) string {
			if err := s.RequestPty("xterm", 24, 80, nil); err != nil {
				return err.Error()
			}
			if err := s.Start("trap 'stty size; exit' WINCH; stty size; " + waiting); err != nil {
				return err.Error()
			}
			text := readUntil(p.t, out, "24 80")
			if err := s.WindowChange(50, 132); err != nil {
				return err.Error()
			}
			return text + readUntil(p.t, out, "50 132")
		})
	}},
	{what: "Local and dynamic forwarding (`-L`, `-D`, `-W`, `-J`)", want: "from inside", do: func(p place) string {
		defer p.serveInside("tcp", "127.0.0.1:7001")()
		text := p.call("hello", "ssh", append(p.options(), "-p", p.port, "-W", "localhost:7001", "root@"+p.host)...) +
			p.dialed("tcp", "127.0.0.1:7001")
		return text + p.dialed("tcp", "127.0.0.1:7999") + p.dialed("tcp", "no-such-host.invalid:1")
	}},
	{what: "Remote forwarding (`-R`)", want: "reached", do: func(p place) string {
		text := p.listened("tcp", "localhost:0", func(address string) string {
			_, port, _ := net.SplitHostPort(address)
			return p.reach("/dev/tcp/127.0.0.1/"+port) + p.reach("/dev/tcp/::1/"+port)
		})
		for _, address := range []string{"0.0.0.0:7002", "127.0.0.1:2200", "localhost:2200", "[::1]:7002",
			"127.0.0.1:7002"} {
			text += p.listened("tcp", address, func(string) string {
				return p.reach("/dev/tcp/127.0.0.1/7002") +
					p.reach("/dev/tcp/::1/7002")
			})
		}
		return text
	}},
	{what: "Unix sockets forwarded to the machine (`-L`)", want: "from inside", do: func(p place) string {
		defer p.prepare("rm /tmp/inside")
		defer p.serveInside("unix", "/tmp/inside")()
		return p.dialed("unix", "/tmp/inside") + p.dialed("unix", "/tmp/no-such-socket") + p.dialed("unix",
			"/etc/passwd")
	}},
	{what: "Unix sockets forwarded from the machine (`-R`)", want: "reached", do: func(p place) string {
		path := "/tmp/" + p.name + ".sock"
		text := p.listened("unix", path, func(string) string {
			text := p.ssh("", "stat -c %A "+path)
			c, err := p.inside.Dial("unix", path)
			if err != nil {
				return text + "no\n"
			}
			defer c.Close()
			b, _ := io.ReadAll(c)
			return text + string(b)
		})
		return strings.ReplaceAll(text+p.listened("unix", path, func(string) string { return "a second time" })+
			p.listened("unix", "/no/such/directory", func(string) string { return "listens" }), p.name, "place")
	}},
	{what: "Agent forwarding (`-A`)", want: "ED25519", do: func(p place) string {
		text := p.sshWith([]string{"-A"},
			"ssh-add -l; stat -c %A $SSH_AUTH_SOCK $(dirname $SSH_AUTH_SOCK); env | grep SSH_AUTH") +
			p.ssh("", "echo none: $SSH_AUTH_SOCK; ls -d /tmp/ssh-* | wc -l")
		text, _, _ = strings.Cut(text, "errors: ")
		return strings.ReplaceAll(text, "srwxr-xr-x", "srw-------")
	}},
	{what: "X11 forwarding (`-X`)", differ: true, do: func(p place) string {
		return p.sshWith([]string{"-Y"}, "echo display: $DISPLAY")
	}},
	{what: "SFTP subsystem, `sftp`, `scp`", want: "a/b/rel lrwxrwxrwx 4 ../x", do: func(p place) string {
		home := "/root/" + p.name
		p.prepare("mkdir " + home)
		defer p.prepare("rm -r " + home)
		local := filepath.Join(p.dir, "local")
		if err := os.WriteFile(local, []byte("data"), 0o640); err != nil {
			p.t.Fatal(err)
		}
		if err := os.Chtimes(local, time.Unix(1e9, 0), time.Unix(1e9, 0)); err != nil {
			p.t.Fatal(err)
		}
		batch := strings.Join([]string{
			"cd " + p.name, "pwd", "mkdir a", "mkdir a/b", "chmod 700 a", "put local a/f", "put -p local a/g",
			"symlink ../x a/b/rel", "ln -s f a/l", "ln a/f a/h",
			"rename a/f a/i", "chmod 4711 a/i", "get a/i back", "!cat back", "rm a/h", "mkdir empty", "rmdir empty",
			"copy a/i a/j", "ls -ln a", "-put local /no/such",
			"-rename a/i a/j", "-rm a/b", "-rmdir a/i", "-get missing", "-mkdir a", "ls -1 a/*", "lpwd",
		}, "\n")
		remote := "root@" + p.host + ":"
		text := p.call(batch, "sftp", append(p.options(), "-P", p.port, "-b", "-", "root@"+p.host)...)
		for _, args := range [][]string{
			{local, remote + "~/" + p.name + "/c1"}, {local, remote + "~root/" + p.name + "/c2"}, {"-O", local,
				remote + home + "/c3"},
			{"-p", local, remote + home + "/c4"}, {"-r", p.dir, remote + home + "/c5"}, {remote + "~root/missing",
				local}, {local, remote + "~no-such-user/x"},
			{remote + home + "/c[12]", p.dir},
		} {
			text += p.call("", "scp", append(append(p.options(), "-P", p.port), args...)...)
		}
		text += p.ssh("", "cd "+home+"; find . -printf '%P %M %s %l\\n' | sort; stat -c %y c4 | cut -c 1-4")
		return strings.ReplaceAll(text, p.name, "place")
	}},
	{what: "SFTP of other clients: asyncssh, paramiko", want: "/a/b/rel lrwxrwxrwx 4 -> ../x",
		do: func(p place) string {
			home := "/root/" + p.name + "-py"
			p.prepare("mkdir " + home)
			defer p.prepare("rm -r " + home)
			out := p.call(pythonClients, "/usr/bin/python3", "-W", "ignore", "-", p.host, p.port, p.login.file, home)
			return strings.ReplaceAll(out+p.ssh("", "cd "+home+"; find . -printf '/%P %M %s -> %l\\n' | sort"), p.name,
				"place")
		}},
	{what: "Another subsystem", do: func(p place) string { return p.sshWith([]string{"-s"}, "no-such-subsystem") }},
	{what: "A `~/.bashrc` that prints, and SFTP", differ: true, do: func(p place) string {
		p.prepare("cp ~/.bashrc /tmp/bashrc; echo 'echo hello from bashrc' >> ~/.bashrc")
		defer p.prepare("mv /tmp/bashrc ~/.bashrc")
		return p.call("pwd\n", "sftp", append(p.options(), "-P", p.port, "-b", "-", "root@"+p.host)...)
	}},
	{what: "Passwords, other users, no key", want: "Permission denied", do: func(p place) string {
		text := p.sshWith([]string{"-o", "PreferredAuthentications=password,keyboard-interactive"}, "true")
		text += p.sshWith([]string{"-o", "PubkeyAuthentication=no"}, "true") + p.sshWith([]string{"-l", "ubuntu"},
			"true")
		for _, user := range []string{"ubuntu", "nobody", ""} {
			text += p.call("", "ssh", append(p.options(), "-p", p.port, "-o", "User="+user+"x", p.host, "true")...)
		}
		return text
	}},
	{what: "`authorized_keys` decides: `ssh-copy-id`, removing, modes, owners, links", want: "new key: yes",
		do: func(p place) string { return p.authorizedKeys() }},
	{
		what: "Options: `command`, `from`, `expiry-time`, `restrict`, `no-…`, `permitopen`, `permitlisten`, " +
			"`environment`",
		want: "forced",
		do: func(p place) string {
			return p.keyOptions([]string{
				`command="echo forced $SSH_ORIGINAL_COMMAND"`, `command="echo \"quoted\""`, `command="internal-sftp"`,
				`command="exit 5",no-pty`, `command="a",command="b"`,
				`from="127.*"`, `from="10.0.0.0/8"`, `from="127.0.0.0/8,!127.0.0.1"`, `from="127.0.0.0/8"`,
				`from="127.0.0.1/8"`, `from="1?7.0.0.1"`,
				`expiry-time="20200101"`, `expiry-time="20990101Z"`, `expiry-time="209901011200"`,
				`expiry-time="tomorrow"`,
				`restrict`, `restrict,pty`, `restrict,port-forwarding`, `no-port-forwarding`, `no-pty`,
				`no-agent-forwarding`, `no-user-rc`, `no-x11-forwarding,pty`, `NO-PTY`,
				`permitopen="127.0.0.1:2200"`, `permitopen="*:22"`, `permitopen="localhost"`, `permitlisten="7003"`,
				`permitlisten="localhost:7004"`,
				`environment="A=b"`, `tunnel="0"`, `no-touch-required`, `unknown-option`, `unknown="x"`,
				`command=unquoted`, `principals="root"`,
			})
		},
	},
	{what: "Options `cert-authority`, `verify-required`", differ: true, want: "no", do: func(p place) string {
		return p.keyOptions([]string{`cert-authority`, `verify-required`})
	}},
	{what: "Host keys of three types", want: "ssh-rsa", do: func(p place) string {
		out := p.call("", "ssh-keyscan", "-T", "20", "-p", p.port, "-t", "rsa,ecdsa,ed25519,dsa", p.host)
		var kinds []string
		for line := range strings.Lines(out) {
			if f := strings.Fields(line); len(f) == 3 && strings.Contains(line, "AAAA") {
				kinds = append(kinds, f[1])
			}
		}
		slices.Sort(kinds)
		text := strings.Join(slices.Compact(kinds), " ")
		for _, algorithm := range []string{"ssh-rsa", "rsa-sha2-256", "rsa-sha2-512", "ecdsa-sha2-nistp256",
			"ssh-ed25519"} {
			text += algorithm + p.sshWith([]string{"-o", "HostKeyAlgorithms=" + algorithm, "-o", "LogLevel=QUIET"},
				"true")
		}
		return text
	}},
	{what: "New host keys are told to clients (`UpdateHostKeys`)", want: "exit 0\n3", do: func(p place) string {
		known := filepath.Join(p.dir, "known_hosts")
		connect := func(algorithms string) string {
			return p.call("", "ssh", "-F", "/dev/null", "-i", p.login.file, "-o", "UserKnownHostsFile="+known, "-o",
				"StrictHostKeyChecking=accept-new", "-o", "BatchMode=yes",
				"-o", "UpdateHostKeys=yes", "-o", "HostKeyAlgorithms="+algorithms, "-o", "LogLevel=ERROR",
				"-p", p.port, "root@"+p.host, "sleep 0.2; true")
		}
		text := ""
		for _, algorithms := range []string{"ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512",
			"rsa-sha2-256,ssh-ed25519,ecdsa-sha2-nistp256"} {
			_ = os.Remove(known)
			text += connect(algorithms) + connect(algorithms) // only a host that is known is asked for more keys
			b, _ := os.ReadFile(known)
			text += fmt.Sprint(strings.Count(string(b), "\n"), "\n")
		}
		return text
	}},
	{what: "Ten sessions over one connection", want: "10", do: func(p place) string {
		c, err := p.client(p.login)
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		n := 0
		for range 10 {
			if s, err := c.NewSession(); err == nil && s.Start("sleep 10") == nil {
				n++
			}
		}
		return fmt.Sprint(n)
	}},
	{what: "More than ten sessions, keys tried at one login", differ: true, want: "more than ten",
		do: func(p place) string {
			c, err := p.client(p.login)
			if err != nil {
				return err.Error()
			}
			defer c.Close()
			for range 11 {
				if _, err := c.NewSession(); err != nil {
					return "ten"
				}
			}
			return "more than ten"
		}},
	{what: "Compression (`-C`)", differ: true, want: "compression: none", do: func(p place) string {
		out := p.call("", "ssh", append(p.options()[:len(p.options())-1], "LogLevel=DEBUG", "-C", "-p", p.port,
			"root@"+p.host, "true")...)
		for line := range strings.Lines(out) {
			if _, after, ok := strings.Cut(line, "compression: "); ok {
				return "compression: " + after
			}
		}
		return out
	}},
}

// serveInside listens inside the machine and answers once for each connection, until it is told to
// end.
func (p place) serveInside(network, address string) (end func()) {
	var l net.Listener
	var err error
	if network == "unix" {
		l, err = p.inside.ListenUnix(address)
	} else {
		l, err = p.inside.Listen(network, address)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 5)
			_, _ = io.ReadFull(c, b)
			fmt.Fprintf(c, "from inside %s", b)
			c.Close()
		}
	}()
	return func() { l.Close() }
}

// interact runs fn with a session and ends its connection.
func (p place) interact(fn func(s *gossh.Session, in io.Writer, out io.Reader) string) string {
	c, err := p.client(p.login)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	s, err := c.NewSession()
	if err != nil {
		return err.Error()
	}
	in, _ := s.StdinPipe()
	out, _ := s.StdoutPipe()
	return p.plain(fn(s, in, out))
}

func output(s *gossh.Session, out io.Reader, command string) (string, error) {
	if err := s.Start(command); err != nil {
		return "", err
	}
	b, err := io.ReadAll(out)
	return string(b), errors.Join(err, s.Wait())
}

// sshOnTerminal types into a login shell on a terminal.
func (p place) sshOnTerminal(text string) string {
	return p.call(text, "ssh", append(p.options(), "-tt", "-p", p.port, "root@"+p.host)...)
}

// dialed says what came of a connection to an address as seen from inside.
func (p place) dialed(network, address string) string {
	c, err := p.client(p.login)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	to, err := c.Dial(network, address)
	if err != nil {
		return err.Error() + "\n"
	}
	defer to.Close()
	_, _ = io.WriteString(to, "hello")
	b, err := io.ReadAll(io.LimitReader(to, 17))
	return fmt.Sprintf("%s %v\n", b, err)
}

// listened says what came of listening inside, and whether it is over after it was cancelled.
func (p place) listened(network, address string, use func(address string) string) string {
	c, err := p.client(p.login)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	listen := c.Listen
	if network == "unix" {
		listen = func(_, path string) (net.Listener, error) { return c.ListenUnix(path) }
	}
	l, err := listen(network, address)
	if err != nil {
		return err.Error() + "\n"
	}
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(from, "reached")
			from.Close()
		}
	}()
	text := use(l.Addr().String())
	if err := l.Close(); err != nil {
		return text + err.Error()
	}
	return text + use(l.Addr().String()) + "\n"
}

// reach connects to a port inside and returns what comes.
func (p place) reach(device string) string {
	r := run(p.t, p.inside, "exec 3<>"+device+" && cat <&3")
	return fmt.Sprintf("%d %s\n", r.code, r.out)
}

// waiting is a command that waits for a signal without a process of its own.
const waiting = "while :; do read -t 0.1 x </dev/zero; done"
