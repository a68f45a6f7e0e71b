package node

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

// Becoming another user works as on a Debian server where the session is root, by the programs
// and in the words that scripts and Ansible use.
func TestRootBecomesOtherUsers(t *testing.T) {
	t.Parallel()
	l := newLogin(t)
	c := connect(t, started(t, testSpec(t, l)), l)
	other := "nobody\n65534 65534"
	if os.Geteuid() != 0 { // one id is all that an ordinary user's machine has
		other = ""
	}
	for command, want := range map[string]string{
		"sudo -n true && echo yes": "yes",
		"sudo id -u":               "0",
		"sudo -H -S -n -u root /bin/sh -c 'echo BECOME-SUCCESS; id -u'": "BECOME-SUCCESS\n0",
		"sudo -nH A=1 sh -c 'echo $A $HOME $SUDO_USER'":                 "1 /root root",
		"sudo -E -- env | grep -c ^SUDO_UID=0":                          "1",
		"sudo -i pwd":                                                   "/root",
		"cd /tmp && sudo -s pwd":                                        "/tmp",
		"sudo -u nosuch true 2>&1; echo $?":                             "sudo: unknown user nosuch\n1",
		"sudo -l | tail -1":                                             "    (ALL : ALL) NOPASSWD: ALL",
		"su root -c 'id -u'":                                            "0",
		"su - root -c 'id -u; pwd'":                                     "0\n/root",
		"runuser -u root -- id -u":                                      "0",
		"getent passwd www-data | cut -d: -f3":                          "33",
		"getent group sudo | cut -d: -f3":                               "27",
	} {
		if got := must(t, c, command); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	for _, command := range []string{
		"sudo -u nobody sh -c 'id -un; echo $(id -u) $(id -g)'", "sudo -n -u '#65534' -- sh -c 'id -un; echo $(id " +
			"-u) $(id -g)'",
		"runuser -u nobody -- sh -c 'id -un; echo $(id -u) $(id -g)'", "su -s /bin/sh nobody -c 'id -un; echo $(id " +
			"-u) $(id -g)'",
	} {
		if other == "" {
			continue
		}
		if got := must(t, c, command); got != other {
			t.Errorf("%s: %q", command, got)
		}
		// And not back: nothing raises rights in a machine.
		if got := run(t, c, "runuser -u nobody -- sudo -n true"); got.code == 0 {
			t.Error("the user nobody becomes root by sudo")
		}
	}
}

// cloud-init reports what becomes of the cloud-config, to who asks and to who waits.
func TestCloudInitReports(t *testing.T) {
	t.Parallel()
	l := newLogin(t)
	spec := testSpec(t, l)
	spec.CloudInit = "#cloud-config\nruncmd: ['until [ -e /root/go ]; do sleep 0.05; done', 'exit 3']\n"
	c := connect(t, started(t, spec), l)
	if got := must(t, c, "cloud-init status; echo $?"); got != "status: running\n0" {
		t.Errorf("%q", got)
	}
	if got := must(t, c, "(sleep 0.2; touch /root/go) & cloud-init status --wait | tr -d . ; cloud-init status "+
		">/dev/null; echo $?"); got != "\nstatus: error\n1" {
		t.Errorf("%q", got)
	}
	var report struct {
		Status string
		Errors []string
	}
	if got := run(t, c, "cloud-init status --format json"); json.Unmarshal([]byte(got.out), &report) != nil ||
		report.Status != "error" ||
		len(report.Errors) != 1 ||
		!strings.HasPrefix(report.Errors[0], "runcmd: ") {
		t.Errorf("%+v", got)
	}
	if got := must(t, c, "test -e /var/lib/cloud/instance/boot-finished && cat "+
		"/var/lib/cloud/data/result.json"); !strings.Contains(
		got,
		`"errors":["runcmd: exit status 3"]`,
	) {
		t.Errorf("%s", got)
	}
	plain := connect(t, started(t, testSpec(t, l)), l)
	if got := must(t, plain, "cloud-init status --wait --long | head -2"); got != "status: "+
		"done\nextended_status: done" {
		t.Errorf("without a cloud-config: %q", got)
	}
	must(
		t,
		plain,
		"test -e /var/lib/cloud/instance/boot-finished && grep -q '\"errors\":\\[\\]' /var/lib/cloud/data/result.json",
	)
}

func TestCloudInitStatusRefusesWhatItDoesNotKnow(t *testing.T) {
	var out, errs strings.Builder
	for _, args := range [][]string{{"status", "--nope"}, {"status", "--format", "xml"}, {"clean"}} {
		if code := cloudInitCommand(t.TempDir(), args, &out, &errs, func(time.Duration) {}); code != 2 {
			t.Errorf("%v: %d", args, code)
		}
	}
	if out.Len() > 0 || strings.Count(errs.String(), "cloud-init:") != 3 {
		t.Errorf("%q %q", out.String(), errs.String())
	}
}

// What users expect of a server and this host lacks is named at the login.
func TestTheGreetingNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	l := newLogin(t)
	c := connect(t, started(t, testSpec(t, l)), l)
	motd := must(t, c, "cat /etc/motd")
	for _, name := range usualPrograms {
		there := run(t, c, "command -v "+name).code == 0
		_, line, _ := strings.Cut(motd, "and so not here: ")
		line, _, _ = strings.Cut(line, ".")
		named := false
		for _, m := range strings.Split(line, ", ") {
			named = named || m == name
		}
		if there == named {
			t.Errorf("%s: there %v, named as missing %v", name, there, named)
		}
	}
}
