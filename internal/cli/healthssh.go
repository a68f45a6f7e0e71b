package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/billetcloud/billet/internal/gpucheck"
	"github.com/spf13/cobra"
)

// healthBySSH are the flags of a GPU check over the user's own ssh.
type healthBySSH struct {
	enabled bool
	level   int
	ssh     sshFlags
}

func (s *healthBySSH) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&s.enabled, "ssh", false, "check now, over your own SSH connection")
	f.IntVar(&s.level, "level", 1, "`level` of the check: 1, 2 or 3")
	f.StringVarP(&s.ssh.identity, "identity", "i", "", "private key `file`; default: ssh's choice")
	f.StringArrayVar(&s.ssh.options, "ssh-option", nil, "`option` of ssh, such as ServerAliveInterval=30")
	f.BoolVar(&s.ssh.noWait, "no-wait", false, "fail if the machine is not running yet")
}

// sshHealth is the outcome for a machine.
type sshHealth struct {
	DeploymentID string           `json:"deploymentId"`
	Verdict      gpucheck.Verdict `json:"verdict"`
	Nodes        []nodeReport     `json:"nodes"`
}

// nodeReport is the outcome for a node of it. A machine that is no cluster has one.
type nodeReport struct {
	Index int `json:"index"`
	gpucheck.Report
}

// healthBySSH checks the GPUs of each node, one after the other, and prints the report.
func (t *tool) healthBySSH(ctx context.Context, c *client.Client, ref string, s *healthBySSH) error {
	level := gpucheck.Level(s.level)
	if !slices.Contains(level.Enum(), level) {
		return usageError("--level must be 1, 2 or 3, not %d.", s.level)
	}
	d, err := t.running(ctx, c, ref, !s.ssh.noWait)
	if err != nil {
		return err
	}
	nodes := max(len(d.Nodes), 1)
	want, err := expected(ctx, c, d, nodes)
	if err != nil {
		return err
	}
	out := sshHealth{DeploymentID: d.ID, Verdict: gpucheck.Passed}
	for i := range nodes {
		node, err := selectNode(d, i)
		if err != nil {
			return err
		}
		t.note("Checking the GPUs of %s…", clean(node.Name))
		output, err := t.runScript(ctx, node, &s.ssh, level)
		if err != nil {
			return err
		}
		r := gpucheck.Judge(output, level, want)
		out.Nodes = append(out.Nodes, nodeReport{i, r})
		out.Verdict = worse(out.Verdict, r.Verdict)
	}
	if err := t.printSSHHealth(out); err != nil {
		return err
	}
	if out.Verdict == gpucheck.Failed {
		return &cliError{exitEnded, "GPUS_FAILED", "the GPUs of " + d.Name + " failed the check."}
	}
	return nil
}

// expected returns what the offer says about one node. An offer that is no longer for sale says
// nothing beyond what the deployment has.
func expected(ctx context.Context, c *client.Client, d *client.Deployment, nodes int) (gpucheck.Expected, error) {
	want := gpucheck.Expected{GPUType: d.GPUType, GPUCount: d.GPUCount / nodes}
	offer, err := c.Offers.Get(ctx, d.OfferID)
	switch {
	case err == nil:
		want.GPUMemoryGB, want.Interconnect = offer.GPUMemoryGB, valueOr(offer.Interconnect, "")
	case !errors.Is(err, client.ErrNotFound):
		return want, err
	}
	return want, nil
}

// runScript runs the check on a machine with this system's ssh, and returns its output.
func (t *tool) runScript(
	ctx context.Context, d *client.Deployment, s *sshFlags, level gpucheck.Level,
) ([]byte, error) {
	r, err := t.sshTarget(d)
	if err != nil {
		return nil, err
	}
	if r.trustOnFirstUse() {
		t.note("billet: the host keys of %s are unknown to the server: the first one shown is trusted from now on.",
			r.id)
	}
	path, err := exec.LookPath("ssh")
	if err != nil {
		return nil, &cliError{exitOther, "NO_SSH", "ssh is not installed. Install the OpenSSH client."}
	}
	// A check hands the machine nothing: neither an agent nor a display nor ports, whatever the
	// user's configuration of ssh has for a session.
	args := append(s.arguments(t, d), "-T", "-a", "-x", "-o", "ClearAllForwardings=yes",
		"-p", strconv.Itoa(r.port))
	for _, o := range r.options {
		args = append(args, "-o", o.name+"="+o.value)
	}
	ctx, cancel := context.WithTimeout(ctx, level.Bound()+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append(args, "--", r.user+"@"+r.address, "sh -s")...)
	cmd.Stdin, cmd.Env = strings.NewReader(gpucheck.Script(level)), t.childEnv()
	cmd.Stderr, cmd.WaitDelay = &remarks{to: t.Err, left: maxRemarks}, 5*time.Second
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	output, err := io.ReadAll(io.LimitReader(pipe, gpucheck.MaxOutput+1))
	if len(output) > gpucheck.MaxOutput {
		cancel() // what follows is not read
	}
	ended := cmd.Wait()
	if err := context.Cause(ctx); err != nil && len(output) <= gpucheck.MaxOutput {
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, &cliError{exitOther, "TIMEOUT", "the check of " + d.Name + " did not end in time."}
		}
		return nil, err
	}
	if exit, is := errors.AsType[*exec.ExitError](ended); is && exit.ExitCode() == 255 && len(output) == 0 {
		return nil, &cliError{exitOther, "SSH_FAILED", "ssh could not connect to " + d.Name + "."}
	}
	return output, err
}

// maxRemarks is how many bytes of what ssh and the machine say beside the output are shown.
const maxRemarks = 64 << 10

// remarks shows what ssh says, and the machine's login shell may write. A machine that is not
// trusted yet must neither control the terminal nor fill it.
type remarks struct {
	to   io.Writer
	left int
}

func (r *remarks) Write(p []byte) (int, error) {
	shown := p[:min(len(p), r.left)]
	r.left -= len(shown)
	if _, err := io.WriteString(r.to, clean(string(shown))); err != nil {
		return 0, err
	}
	return len(p), nil // the rest is thrown away
}

// worse returns the verdict of two machines together.
func worse(a, b gpucheck.Verdict) gpucheck.Verdict {
	for _, v := range []gpucheck.Verdict{gpucheck.Failed, gpucheck.NotChecked, gpucheck.Warning} {
		if a == v || b == v {
			return v
		}
	}
	return gpucheck.Passed
}

// healthRow is a check of a node.
type healthRow struct {
	node string // "" for a machine that is no cluster
	gpucheck.Check
}

var healthListing = listing[healthRow]{
	id: func(r healthRow) string { return r.Name },
	columns: []column[healthRow]{
		{name: "node", head: "NODE", text: func(r healthRow) string { return r.node }},
		{name: "name", head: "CHECK", text: func(r healthRow) string { return r.Name }},
		{name: "verdict", head: "VERDICT", text: func(r healthRow) string { return string(r.Verdict) }},
		{name: "detail", head: "DETAIL", text: func(r healthRow) string { return r.Detail }},
	},
}

// printSSHHealth prints the report: an object for programs, a table for users.
func (t *tool) printSSHHealth(out sshHealth) error {
	if t.format == "json" || t.format == "yaml" {
		return t.encode(out)
	}
	var rows []healthRow
	for _, n := range out.Nodes {
		node := ""
		if len(out.Nodes) > 1 {
			node = strconv.Itoa(n.Index)
		}
		if t.humanOutput() {
			if err := t.print(clean(healthSummary(node, n.Report))); err != nil {
				return err
			}
		}
		for _, c := range n.Checks {
			rows = append(rows, healthRow{node, c})
		}
	}
	return list(t, healthListing, rows)
}

// healthSummary is the line before the table.
func healthSummary(node string, r gpucheck.Report) string {
	text := "GPUs"
	if node != "" {
		text = "Node " + node
	}
	text += ": " + string(r.Verdict)
	if len(r.GPUs) > 0 {
		text += fmt.Sprintf(", %d × %s", len(r.GPUs), r.GPUs[0].Model)
	}
	if r.DriverVersion != "" {
		text += ", driver " + r.DriverVersion
	}
	if r.CUDAVersion != "" {
		text += ", CUDA " + r.CUDAVersion
	}
	return text
}
