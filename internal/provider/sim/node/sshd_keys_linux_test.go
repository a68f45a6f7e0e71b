package node

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// pythonClients does the same with two clients: one chooses the order of symlink's arguments by the
// server's identification, the other never does.
const pythonClients = `
import asyncio, sys, os
host, port, key, home = sys.argv[1:5]
import asyncssh, paramiko

def said(name, do):
    try:
        print(name, do())
    except Exception as e:
        print(name, 'failed:', getattr(e, 'code', getattr(e, 'errno', '')), str(e).split(':')[0])

async def one():
    options = dict(username='root', client_keys=[key], known_hosts=None, config=None)
    async with asyncssh.connect(host, int(port), **options) as c:
        async with c.start_sftp_client() as f:
            await f.makedirs(home + '/a/b')
            await f.mkdir(home + '/private', asyncssh.SFTPAttrs(permissions=0o700))
            await f.symlink('../x', home + '/a/b/rel')
            print('readlink', await f.readlink(home + '/a/b/rel'))
            async with f.open(home + '/file', 'w', asyncssh.SFTPAttrs(permissions=0o600)) as w:
                await w.write('hello')
            async with f.open(home + '/file', 'a') as w:
                await w.write(' more')
            await f.posix_rename(home + '/file', home + '/a/file')
            await f.link(home + '/a/file', home + '/hard')
            s = await f.statvfs(home)
            print('statvfs', s.bsize, s.namemax)
            print('list', sorted(n for n in await f.listdir(home)))
            print('glob', sorted(await f.glob(home + '/*')))
            await f.utime(home + '/hard', (1000000000, 1000000001))
            print('stat', (await f.stat(home + '/hard')).mtime)
            for path in ['/missing', '/hard/x']:
                try:
                    await f.stat(home + path)
                except asyncssh.SFTPError as e:
                    print(path, e.code, e.reason)
        r = await c.run('echo $TERM; cat', input='in', term_type='vt100', request_pty='auto')
        print(r.exit_status, repr(r.stdout))
asyncio.run(one())

c = paramiko.SSHClient()
c.set_missing_host_key_policy(paramiko.AutoAddPolicy())
c.connect(host, int(port), 'root', key_filename=key, allow_agent=False, look_for_keys=False)
f = c.open_sftp()
f.chdir(home)
f.mkdir('p', 0o710)
f.symlink('../y', 'p/rel')
print('readlink', f.readlink('p/rel'))
with f.open('p/file', 'wb') as w:
    w.write(b'0123456789' * 10000)
    w.truncate(5)
f.chmod('p/file', 0o4755)
print(sorted((a.filename, oct(a.st_mode)) for a in f.listdir_attr('p')))
said('rename', lambda: f.rename('p/file', 'hard'))
said('posix_rename', lambda: f.posix_rename('p/file', 'p/moved'))
said('remove', lambda: f.remove('p'))
said('rmdir', lambda: f.rmdir('p/moved'))
said('open', lambda: f.open('missing'))
said('normalize', lambda: f.normalize('p/../p/rel'))
_, out, err = c.exec_command('echo out; echo err >&2; exit 3')
print(out.read(), err.read(), out.channel.recv_exit_status())
c.close()
`

// authorizedKeys changes who may log in, and tries.
func (p place) authorizedKeys() string {
	p.prepare("cp -a ~/.ssh /tmp/ssh-before")
	defer p.prepare("rm -r ~/.ssh /tmp/elsewhere; mv /tmp/ssh-before ~/.ssh")
	second := newLogin(p.t)
	public := filepath.Join(p.dir, "second.pub")
	if err := os.WriteFile(public, []byte(second.line+" second\n"), 0o600); err != nil {
		p.t.Fatal(err)
	}
	try := func() string {
		c, err := p.client(second)
		if err != nil {
			return "no\n"
		}
		c.Close()
		return "yes\n"
	}
	text := "before: " + try()
	if err := os.MkdirAll(filepath.Join(p.dir, ".ssh"), 0o700); err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.CommandContext(within(p.t), "ssh-copy-id", "-f", "-i", public, "-p", p.port, "-o",
		"IdentityFile="+p.login.file, "-o", "UserKnownHostsFile=/dev/null",
		"-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "root@"+p.host)
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "SSH_AUTH_SOCK="+p.agent)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Errorf("ssh-copy-id: %v: %s", err, out)
	}
	text += "new key: " + try()
	text += p.ssh("", "stat -c '%A %U' ~/.ssh ~/.ssh/authorized_keys")
	for _, step := range []string{
		"chmod 666 ~/.ssh/authorized_keys", "chmod 640 ~/.ssh/authorized_keys", "chmod 777 ~/.ssh",
		"chmod 755 ~/.ssh", "chmod 757 ~", "chmod 700 ~",
		"chown nobody ~/.ssh/authorized_keys", "chown root ~/.ssh/authorized_keys",
		"mkdir /tmp/elsewhere; chmod 755 /tmp/elsewhere; " +
			"mv ~/.ssh/authorized_keys /tmp/elsewhere/k; ln -s /tmp/elsewhere/k ~/.ssh/authorized_keys",
		"rm ~/.ssh/authorized_keys; mkfifo ~/.ssh/authorized_keys",
		"rm ~/.ssh/authorized_keys; cp /tmp/elsewhere/k ~/.ssh/authorized_keys2",
		"mv ~/.ssh/authorized_keys2 ~/.ssh/authorized_keys; " +
			"sed -i '1i not a key\\n\\n# a comment' ~/.ssh/authorized_keys",
		"sed -i '/second/d' ~/.ssh/authorized_keys",
		"printf 'ssh-ed25519 AAAA broken\\n  " + second.line + " indented\\r\\n' > ~/.ssh/authorized_keys",
		"rm -r ~/.ssh; mkdir ~/.ssh",
	} {
		p.prepare(step)
		text += step[:min(40, len(step))] + ": " + try()
	}
	return strings.ReplaceAll(text, second.line, "KEY")
}

// keyOptions says for each list of options what a key with it can do.
func (p place) keyOptions(lists []string) string {
	p.prepare("mkdir -p ~/.ssh; printf 'echo rc ran >&2\n' > ~/.ssh/rc")
	defer p.prepare("rm -f ~/.ssh/authorized_keys2 ~/.ssh/rc")
	l := newLogin(p.t)
	text := ""
	for _, options := range lists {
		p.prepare("cat > ~/.ssh/authorized_keys2 <<'X'\n" + options + " " + l.line + "\nX")
		text += options + ": " + p.allowed(l) + "\n"
	}
	return text
}

func (p place) allowed(l login) string {
	c, err := p.client(l)
	if err != nil {
		return "no"
	}
	defer c.Close()
	r := run(p.t, c, "echo ran A=$A")
	text := fmt.Sprintf("%q %q %d", r.out, r.err, r.code)
	if s, err := c.NewSession(); err == nil {
		text += fmt.Sprint(" terminal: ", s.RequestPty("xterm", 24, 80, nil) == nil)
		ok, err := s.SendRequest("auth-agent-req@openssh.com", true, nil)
		text += fmt.Sprint(" agent: ", ok, err)
		s.Close()
	}
	if s, err := c.NewSession(); err == nil {
		out, _ := s.StdoutPipe()
		in, _ := s.StdinPipe()
		if s.RequestSubsystem("sftp") == nil {
			b := make([]byte, 5)
			done := time.AfterFunc(patience, func() { c.Close() })
			_, _ = in.Write([]byte{0, 0, 0, 5, 1, 0, 0, 0, 3})
			_, _ = io.ReadFull(out, b)
			done.Stop()
			text += fmt.Sprintf(" sftp: %q", b[4:])
		}
		s.Close()
	}
	for _, address := range []string{"127.0.0.1:2200", "127.0.0.1:22", "localhost:2200"} {
		to, err := c.Dial("tcp", address)
		if err == nil {
			to.Close()
		}
		text += fmt.Sprint(" open ", address, ": ", err)
	}
	for _, address := range []string{"localhost:7003", "localhost:7004"} {
		at, err := c.Listen("tcp", address)
		if err == nil {
			at.Close()
		}
		text += fmt.Sprint(" listen ", address, ": ", err == nil)
	}
	return text
}
