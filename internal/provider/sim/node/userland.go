package node

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// etcFiles are files of /etc as a Debian image has them: accounts, and what lets root become
// another user without a password. Names are below /etc.
func etcFiles() map[string]string {
	files := map[string]string{
		"passwd": strings.ReplaceAll(
			passwd,
			"SHELL",
			guestShell(),
		), "group": group, "shells": "/bin/sh\n/bin/bash\n/bin/dash\n",
		"sudoers": "Defaults env_reset\nroot ALL=(ALL:ALL) NOPASSWD: ALL\n%sudo ALL=(ALL:ALL) NOPASSWD: ALL\n",
	}
	for _, program := range []string{"su", "su-l", "runuser", "runuser-l", "sudo", "sudo-i", "chsh", "chfn", "passwd",
		"cron", "other"} {
		files["pam.d/"+program] = pam
	}
	var shadow, gshadow strings.Builder
	for line := range strings.Lines(files["passwd"]) {
		name, _, _ := strings.Cut(line, ":")
		fmt.Fprintf(&shadow, "%s:*:19000:0:99999:7:::\n", name)
	}
	for line := range strings.Lines(group) {
		name, _, _ := strings.Cut(line, ":")
		fmt.Fprintf(&gshadow, "%s:*::\n", name)
	}
	files["shadow"], files["gshadow"] = shadow.String(), gshadow.String()
	return files
}

// pam lets root through, and no other user become another user.
const pam = "auth sufficient pam_rootok.so\nauth required pam_deny.so\naccount required pam_permit.so\n" +
	"password required pam_deny.so\nsession required pam_permit.so\n"

// passwd and group are Debian's base system.
const passwd = `root:x:0:0:root:/root:SHELL
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
sys:x:3:3:sys:/dev:/usr/sbin/nologin
sync:x:4:65534:sync:/bin:/bin/sync
games:x:5:60:games:/usr/games:/usr/sbin/nologin
man:x:6:12:man:/var/cache/man:/usr/sbin/nologin
lp:x:7:7:lp:/var/spool/lpd:/usr/sbin/nologin
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
news:x:9:9:news:/var/spool/news:/usr/sbin/nologin
proxy:x:13:13:proxy:/bin:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
backup:x:34:34:backup:/var/backups:/usr/sbin/nologin
_apt:x:42:65534::/nonexistent:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`

const group = `root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
lp:x:7:
mail:x:8:
news:x:9:
man:x:12:
proxy:x:13:
kmem:x:15:
sudo:x:27:
www-data:x:33:
backup:x:34:
shadow:x:42:
utmp:x:43:
video:x:44:
staff:x:50:
games:x:60:
users:x:100:
nogroup:x:65534:
`

// writePrograms writes what a Debian image has and the host's programs cannot be here: sudo, whose
// set-user-id bit means nothing in a machine, and cloud-init.
func writePrograms(dir, program string) error {
	for name, text := range map[string]string{
		"sudo":       sudo,
		"cloud-init": fmt.Sprintf("#!/bin/sh\nexec %s %s %s \"$@\"\n", quote(program), InitArg, roleCloudInitCommand),
	} {
		if err := replaceProgram(filepath.Join(dir, name), text); err != nil {
			return err
		}
	}
	return nil
}

// sudo does for root what sudo does; other users have no way to become root in a machine.
const sudo = `#!/bin/sh
# sudo of a simulated machine. Programs cannot raise their rights here, so only root can use it.
user=root group= shell= login= home= dir=
fail() { printf 'sudo: %s\n' "$1" >&2; exit 1; }
while [ $# -gt 0 ]; do
	case $1 in
	--) shift; break ;;
	-u | --user) [ $# -gt 1 ] || fail "option $1 requires an argument"; user=${2#\#}; shift ;;
	-u?*) user=${1#-u}; user=${user#\#} ;;
	--user=*) user=${1#*=} ;;
	-g | --group) [ $# -gt 1 ] || fail "option $1 requires an argument"; group=$2; shift ;;
	--group=*) group=${1#*=} ;;
	-D | --chdir) [ $# -gt 1 ] || fail "option $1 requires an argument"; dir=$2; shift ;;
	-p | --prompt | -C | -T | -r | -t | -h | --host)
		[ "$*" != -h ] || {
			echo 'usage: sudo [-nSHEkKi] [-u user] [-g group] [-D directory] [VAR=value] [command]'; exit 0; }
		[ $# -gt 1 ] || fail "option $1 requires an argument"
		shift ;;
	-i | --login) login=1 home=1 ;;
	-s | --shell) shell=1 ;;
	-H | --set-home) home=1 ;;
	-V | --version) echo 'Sudo version 1.9.13p3 (simulated machine)'; exit 0 ;;
	-l | --list)
		echo "User root may run the following commands on $(hostname):"; echo '    (ALL : ALL) NOPASSWD: ALL'; exit 0 ;;
	-v | --validate | -k | -K | --reset-timestamp | --remove-timestamp) only=1 ;;
	-n | -S | -E | -A | -b | -B | -P | -N | --non-interactive | --stdin | --preserve-env | --preserve-env=*) ;;
	-[nSEHAbBPNkKis][nSEHAbBPNkKisu]*)
		rest=${1#-?}; first=${1%"$rest"}; shift; set -- "$first" "-$rest" "$@"; continue ;;
	-*) fail "invalid option $1" ;;
	*) break ;;
	esac
	shift
done
[ "$(id -u)" -eq 0 ] || fail 'you are not root, and programs cannot raise their rights in a simulated machine'
while [ $# -gt 0 ]; do
	case $1 in
	[A-Za-z_]*=*) export "$1"; shift ;;
	*) break ;;
	esac
done
[ -n "$only" ] && [ $# -eq 0 ] && exit 0
entry=$(getent passwd "$user") || fail "unknown user $user"
name=$(printf '%s' "$entry" | cut -d: -f1) uid=$(printf '%s' "$entry" | cut -d: -f3)
gid=$(printf '%s' "$entry" | cut -d: -f4)
where=$(printf '%s' "$entry" | cut -d: -f6) program=$(printf '%s' "$entry" | cut -d: -f7)
[ -n "$group" ] && { gid=$(getent group "$group" | cut -d: -f3); [ -n "$gid" ] || fail "unknown group $group"; }
[ -n "$home$login$shell" ] || [ "$uid" -ne 0 ] && export HOME="$where"
export SUDO_USER=root SUDO_UID=0 SUDO_GID=0 SUDO_COMMAND="$*" USER="$name" LOGNAME="$name"
[ -n "$login" ] && { cd "$where" 2>/dev/null || cd /; }
[ -n "$dir" ] && { cd "$dir" || exit 1; }
if [ -n "$login" ]; then
	[ $# -gt 0 ] && set -- "$program" -lc "$*" || set -- "$program" -l
elif [ -n "$shell" ]; then
	[ $# -gt 0 ] && set -- "${SHELL:-/bin/sh}" -c "$*" || set -- "${SHELL:-/bin/sh}"
fi
[ $# -gt 0 ] || fail 'a command, -i or -s is required'
if [ "$uid" -eq 0 ] && [ -z "$group" ]; then exec "$@"; fi
exec setpriv --reuid="$uid" --regid="$gid" --init-groups -- "$@"
`

// cloudInitResult is the form of cloud-init's own result.json.
type cloudInitResult struct {
	V1 struct {
		Datasource string   `json:"datasource"`
		Errors     []string `json:"errors"`
	} `json:"v1"`
}

// cloudInitPending says that a cloud-config was given, before it is begun.
const cloudInitPending = "/run/cloud-init/pending"

// cloudInitState is "running", "done" or "error", and what went wrong.
func cloudInitState(root string) (string, []string) {
	at := func(path string) string { return filepath.Join(root, path) }
	_, pending := os.Stat(at(cloudInitPending))
	_, finished := os.Stat(at(cloudInitDir + "/boot-finished"))
	if pending == nil && finished != nil {
		return "running", nil
	}
	var result cloudInitResult
	if b, err := os.ReadFile(at(cloudInitResultFile)); err == nil && json.Unmarshal(b, &result) == nil &&
		len(result.V1.Errors) > 0 {
		return "error", result.V1.Errors
	}
	return "done", nil
}

// runCloudInitCommand is cloud-init as a user calls it. It reports, and does nothing.
func runCloudInitCommand() error {
	os.Exit(cloudInitCommand("/", os.Args[3:], os.Stdout, os.Stderr, time.Sleep))
	return nil
}

func cloudInitCommand(root string, args []string, stdout, stderr io.Writer, sleep func(time.Duration)) int {
	if len(args) == 0 || args[0] == "--help" || args[0] == "-h" {
		fmt.Fprintln(
			stdout,
			"usage: cloud-init [--version] {status,query,clean} ...\nThis is a simulated machine: status [--wait] "+
				"[--long] [--format json] is what there is.",
		)
		return 0
	}
	switch args[0] {
	case "--version", "-v":
		fmt.Fprintln(stdout, "/usr/bin/cloud-init 25.1 (simulated)")
		return 0
	case "status":
		return cloudInitStatus(root, args[1:], stdout, stderr, sleep)
	}
	fmt.Fprintf(stderr, "cloud-init: %s is not there in a simulated machine; status is.\n", args[0])
	return 2
}

func cloudInitStatus(root string, args []string, stdout, stderr io.Writer, sleep func(time.Duration)) int {
	wait, long, format := false, false, "tabular"
	for i := 0; i < len(args); i++ {
		name, value, given := strings.Cut(args[i], "=")
		switch name {
		case "-w", "--wait":
			wait = true
		case "-l", "--long":
			long = true
		case "--format":
			if !given && i+1 < len(args) {
				i++
				value = args[i]
			}
			format = value
		default:
			fmt.Fprintf(stderr, "cloud-init: error: unrecognized arguments: %s\n", args[i])
			return 2
		}
	}
	if !slices.Contains([]string{"json", "tabular"}, format) {
		fmt.Fprintf(stderr, "cloud-init: error: --format takes tabular or json here, not %q\n", format)
		return 2
	}
	state, errs := cloudInitState(root)
	for wait && state == "running" {
		if format == "tabular" {
			fmt.Fprint(stdout, ".")
		}
		sleep(100 * time.Millisecond)
		if state, errs = cloudInitState(root); state != "running" && format == "tabular" {
			fmt.Fprintln(stdout)
		}
	}
	if errs == nil {
		errs = []string{}
	}
	const detail, source = "DataSourceNoCloud", "nocloud"
	if format == "json" {
		b, err := json.MarshalIndent(map[string]any{
			"status": state, "extended_status": state, "boot_status_code": "enabled-by-generator",
			"datasource": source, "detail": detail,
			"errors": errs, "recoverable_errors": map[string]any{}, "schemas": map[string]any{},
		}, "", "  ")
		if err != nil {
			return 1
		}
		fmt.Fprintln(stdout, string(b))
	} else {
		fmt.Fprintf(stdout, "status: %s\n", state)
		if long {
			fmt.Fprintf(stdout, "extended_status: %s\nboot_status_code: enabled-by-generator\ndetail: "+
				"%s\nerrors:%s\nrecoverable_errors: {}\n", state, detail, listed(errs))
		}
	}
	if state == "error" {
		return 1
	}
	return 0
}

func listed(errs []string) string {
	if len(errs) == 0 {
		return " []"
	}
	return "\n    - " + strings.Join(errs, "\n    - ")
}

// usualPrograms are what users expect of a Debian server. They are the host's, where it has them.
var usualPrograms = []string{
	"cc", "crontab", "curl", "git", "htop", "less", "lspci", "make", "nano", "ping", "python3", "rsync", "screen",
	"setfacl", "tmux", "vim", "wget",
}

// missingPrograms returns those that the host does not have.
func missingPrograms() []string {
	return slices.DeleteFunc(slices.Clone(usualPrograms), func(name string) bool {
		return slices.ContainsFunc(strings.Split(guestPath, ":"), func(dir string) bool {
			_, err := os.Stat(filepath.Join(dir, name))
			return err == nil
		})
	})
}
