package node

import "testing"

func TestCloudInit(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	l := newLogin(t)
	spec := testSpec(t, l)
	spec.CloudInit = "#cloud-config\nwrite_files: [{path: /etc/motd.d/x, content: hi}]\nruncmd: ['echo run >> " +
		"/root/runs', 'test ! -w /usr/bin && id -u']\n"
	c := connect(t, started(t, spec), l)
	finished := func() bool { return run(t, c, "test -e /var/lib/cloud/instance/boot-finished").code == 0 }
	eventually(t, "cloud-init to finish", finished)
	if got := must(t, c, "cat /etc/motd.d/x /root/runs; tail -n1 /var/log/cloud-init-output.log"); got != "hirun\n0" {
		t.Errorf("got %q", got)
	}
	if err := Stop(ctx, spec.Dir); err != nil {
		t.Fatal(err)
	}
	e, err := Start(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	c = connect(t, e, l)
	if got := must(t, c, "cat /root/runs"); got != "run" {
		t.Errorf("after a restart: %q", got)
	}
}
