package rack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/cloudinit"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rackagent"
)

// ErrToken means that a token is not, or no longer, that of a job.
var ErrToken = errors.New("rack: the token is not that of a job that runs")

// valid returns the job of a token and its machine, or ErrToken: the job must run, and the machine
// must be in the state that the job is for.
func (s *Service) valid(ctx context.Context, r db.Reader, token string) (j agentJob, m Machine, err error) {
	j, found, err := jobOf(ctx, r, hashOf(token))
	if err != nil {
		return j, m, err
	}
	if !found || j.Closed {
		return j, m, ErrToken
	}
	if m, found, err = find(ctx, r, j.Machine); err != nil {
		return j, m, err
	}
	// The machine is locked now, if this is to write. Another report may have been faster.
	now, err := findJob(ctx, r, j.Machine)
	if err != nil {
		return j, m, err
	}
	if now == nil || now.ID != j.ID || now.TokenHash == nil || *now.TokenHash != hashOf(token) || now.Closed {
		return j, m, ErrToken
	}
	j = *now
	fits := found && map[rackagent.Kind]bool{
		rackagent.Inspect: m.State == Inspecting,
		rackagent.Erase:   m.State == Erasing && (m.DeploymentID == nil || m.OverSSH()),
		rackagent.Rescue:  m.State.Tenanted() && m.tenancy == Rescuing,
		rackagent.Deploy:  m.State.Tenanted() && m.tenancy == Installing || m.finishing(&j),
	}[j.Kind]
	if !fits || j.BootedAt != nil && s.cfg.Clock.Now().After(j.BootedAt.Add(limits[j.Kind])) {
		return j, m, ErrToken
	}
	return j, m, nil
}

// AgentCheck returns ErrToken if a token is not that of a job that runs.
func (s *Service) AgentCheck(ctx context.Context, token string) error {
	_, _, err := s.valid(ctx, s.cfg.DB, token)
	return err
}

// AgentParameters returns what the agent's image for a token says, or ErrToken. The image is served
// until the agent that was started from it has asked for its job.
func (s *Service) AgentParameters(ctx context.Context, token string) (p rackagent.Parameters, err error) {
	j, m, err := s.valid(ctx, s.cfg.DB, token)
	if err == nil && j.ClaimedAt != nil {
		err = ErrToken
	}
	server, has := s.cfg.Server()
	if err == nil && !has {
		err = ErrToken
	}
	if err != nil {
		return p, err
	}
	return parametersOf(m, server, token)
}

func parametersOf(m Machine, server Server, token string) (p rackagent.Parameters, err error) {
	p = rackagent.Parameters{URL: server.URL, Pin: server.Pin, Token: token, MAC: m.MACs[0]}
	if p.Address, err = netip.ParsePrefix(m.Address); err != nil {
		return p, err
	}
	if m.Gateway != "" {
		if p.Gateway, err = netip.ParseAddr(m.Gateway); err != nil {
			return p, err
		}
	}
	for _, text := range m.Nameservers {
		server, err := netip.ParseAddr(text)
		if err != nil {
			return p, err
		}
		p.DNS = append(p.DNS, server)
	}
	return p, nil
}

// AgentJob returns the job of a token, or ErrToken. An agent whose answer was lost gets it again,
// until the job has ended.
func (s *Service) AgentJob(ctx context.Context, token string) (out rackagent.Job, err error) {
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		j, m, err := s.valid(ctx, tx, token)
		if err != nil {
			return err
		}
		if j.Outcome != "" {
			return ErrToken
		}
		if out, err = s.forAgent(ctx, tx, j, m); err != nil || j.ClaimedAt != nil {
			return err
		}
		j.ClaimedAt = &tx.Now
		return s.save(ctx, tx, j)
	})
	if err == nil {
		crashpoint.Reach(crashpoint.RackClaimAfterCommit)
	}
	return out, err
}

// forAgent returns a job as the agent reads it.
func (s *Service) forAgent(ctx context.Context, r db.Reader, j agentJob, m Machine) (rackagent.Job, error) {
	out := rackagent.Job{ID: string(j.ID), Kind: j.Kind}
	if m.Hardware != nil && j.Kind != rackagent.Inspect {
		out.Drives = m.Hardware.serials()
	}
	prefix, err := netip.ParsePrefix(m.Address)
	if err != nil {
		return out, err
	}
	out.Network = &rackagent.Network{
		MAC: m.MACs[0], Address: prefix.Addr().String(), Prefix: prefix.Bits(), Gateway: m.Gateway,
		Nameservers: m.Nameservers,
	}
	if j.Kind == rackagent.Erase || j.Kind == rackagent.Deploy && m.installs > 1 {
		out.Erase = &rackagent.ErasePlan{}
	}
	if j.Kind == rackagent.Erase && m.OverSSH() {
		return out, s.idleJob(ctx, r, j, m, &out)
	}
	if j.Kind != rackagent.Deploy && j.Kind != rackagent.Rescue {
		return out, nil
	}
	l, err := s.openLaunch(m)
	if err != nil {
		return out, err
	}
	if j.Kind == rackagent.Rescue {
		out.Shell, err = shellOf(l)
		return out, err
	}
	if out.Image = s.tenantImage(l); out.Image == nil {
		if out.Image, err = imageFor(ctx, r, l.OperatingSystem); err != nil {
			return out, err
		}
	}
	out.Config, err = configOf(m, l, prefix)
	return out, err
}

// tenantImage returns the tenant's own image as the agent reads it; nil if there is none.
func (s *Service) tenantImage(l Launch) *rackagent.Image {
	if l.Image == nil {
		return nil
	}
	return &rackagent.Image{
		URL: l.Image.URL, SHA256: l.Image.SHA256, Format: rackagent.Format(l.Image.Format), Bytes: l.Image.Bytes,
		Tenant: true, Networks: s.cfg.ImageNetworks,
	}
}

// imageFor returns an image as the agent reads it.
func imageFor(ctx context.Context, r db.Reader, name string) (*rackagent.Image, error) {
	i, found, err := findImage(ctx, r, name)
	if err == nil && !found {
		err = fmt.Errorf("the image of %s was removed while it was to be installed", name)
	}
	return &rackagent.Image{URL: i.URL, SHA256: i.SHA256, Format: i.Format, Bytes: i.Bytes}, err
}

// AgentReport keeps what an agent reports, or returns ErrToken. A report that arrives twice, or
// after a later one, changes nothing.
func (s *Service) AgentReport(ctx context.Context, token string, r rackagent.Report) error {
	err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		// An agent whose last report was received, and the answer lost, must learn that: it goes on
		// only then.
		last, found, err := jobOf(ctx, tx, hashOf(token))
		if err != nil || found && r.JobID == string(last.ID) && int64(r.Number) <= last.Number {
			return err
		}
		j, m, err := s.valid(ctx, tx, token)
		if err != nil {
			return err
		}
		if r.JobID != string(j.ID) {
			return ErrToken
		}
		if j.Outcome != "" {
			return ErrToken // no report follows the last one
		}
		j.Number, j.Phase = int64(r.Number), rackagent.Phase(plain(string(r.Phase)))
		j.Progress, j.HeardAt = int64(min(max(r.Progress, 0), 100)), &tx.Now
		if j.ClaimedAt == nil {
			j.ClaimedAt = &tx.Now
		}
		if r.Hardware != nil && r.Phase == rackagent.Started {
			j.Hardware = r.Hardware // an agent says what it runs on before it does anything
		}
		if r.Erasure != nil {
			j.Erasure = r.Erasure
		}
		if r.Error != nil {
			j.Error = plain(string(r.Error.Code) + ": " + r.Error.Message)
		}
		if r.Phase == rackagent.Done || r.Phase == rackagent.Stopped {
			j.Outcome = r.Phase
		}
		if err := s.save(ctx, tx, j); err != nil {
			return err
		}
		m.heard(j)
		if err := s.keep(ctx, tx, m); err != nil {
			return err
		}
		if j.Outcome != "" {
			err = s.enqueue(ctx, tx, m.ID)
		}
		crashpoint.Reach(crashpoint.RackReportBeforeCommit)
		return err
	})
	if err == nil {
		crashpoint.Reach(crashpoint.RackReportAfterCommit)
	}
	return err
}

// ours is the cloud-config of every machine: the keys of the deployment log in as root.
const ours = "#cloud-config\ndisable_root: false\nssh_pwauth: false\n"

// boundary separates the parts of the user data. A tenant's text cannot have it: it is checked.
const boundary = "==billet-user-data=="

// configOf returns the files that cloud-init reads at the first start. JSON is YAML, too.
func configOf(m Machine, l Launch, prefix netip.Prefix) (*rackagent.Config, error) {
	meta, err := json.Marshal(map[string]any{
		"instance-id":    fmt.Sprintf("%s-%d", l.Deployment, m.installs),
		"local-hostname": hostname(l.Name, l.Deployment), "public-keys": keysOf(m, l),
	})
	if err != nil {
		return nil, err
	}
	card := map[string]any{
		"match": map[string]any{"macaddress": m.MACs[0]}, "addresses": []string{prefix.String()},
	}
	if m.Gateway != "" {
		to := "0.0.0.0/0"
		if prefix.Addr().Is6() {
			to = "::/0"
		}
		card["routes"] = []any{map[string]any{"to": to, "via": m.Gateway}}
	}
	if len(m.Nameservers) > 0 {
		card["nameservers"] = map[string]any{"addresses": m.Nameservers}
	}
	network, err := json.Marshal(map[string]any{"version": 2, "ethernets": map[string]any{"billet0": card}})
	return &rackagent.Config{
		MetaData: string(meta), UserData: userData(l), NetworkConfig: string(network),
	}, err
}

// keysOf returns the keys that log in. A machine without a BMC is returned by one of ours.
func keysOf(m Machine, l Launch) []string {
	if !m.OverSSH() {
		return l.AuthorizedKeys
	}
	return append(slices.Clone(l.AuthorizedKeys), m.SSHPublicKey+" billet")
}

// userData returns our cloud-config and the tenant's, whose values win.
func userData(l Launch) string {
	mine := ours
	if l.HostKey.Public != "" {
		mine = cloudinit.WithHostKey(ours, l.HostKey.Private, l.HostKey.Public)
	}
	if l.CloudInit == "" {
		return mine
	}
	var b strings.Builder
	b.WriteString("Content-Type: multipart/mixed; boundary=\"" + boundary + "\"\nMIME-Version: 1.0\n\n")
	for _, part := range []string{mine, strings.ReplaceAll(l.CloudInit, "--"+boundary, "")} {
		b.WriteString("--" + boundary + "\nContent-Type: text/cloud-config; charset=\"utf-8\"\n\n" +
			strings.TrimRight(part, "\n") + "\n\n")
	}
	b.WriteString("--" + boundary + "--\n")
	return b.String()
}

// hostname returns the name of a deployment as a host name.
func hostname(name string, deployment id.ID) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if b.Len() > 0 {
			b.WriteByte('-')
		}
	}
	out := strings.Trim(b.String()[:min(b.Len(), 63)], "-")
	if out == "" || slices.Contains([]string{"localhost"}, out) {
		return strings.ReplaceAll(string(deployment), "_", "-")
	}
	return out
}
