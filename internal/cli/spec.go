package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// spec is what to deploy, from flags and a YAML file. The file has the API's field names; the
// fields at the end exist only here.
type spec struct {
	Name            string   `yaml:"name"`
	OfferID         string   `yaml:"offerId"`
	QuoteID         string   `yaml:"quoteId"`
	OperatingSystem string   `yaml:"operatingSystem"`
	Image           string   `yaml:"image"`
	Provider        string   `yaml:"provider"`
	GPUType         string   `yaml:"gpuType"`
	GPUCount        int      `yaml:"gpuCount"`
	Region          string   `yaml:"region"`
	InstanceType    string   `yaml:"instanceType"`
	SSHPublicKey    string   `yaml:"ssh_public_key"`
	SSHKeys         []string `yaml:"sshKeys"`
	Volumes         []string `yaml:"volumes"`
	CloudInit       string   `yaml:"cloudInit"`
	Tags            []string `yaml:"tags"`
	Project         string   `yaml:"project"`
	MaxHourlyPrice  string   `yaml:"maxHourlyPrice"`
	AutoTerminate   string   `yaml:"autoTerminate"`
	MaxSpend        string   `yaml:"maxSpend"`
	MaxRuntime      string   `yaml:"maxRuntime"`
	HealthAccess    string   `yaml:"healthAccess"`
	Candidates      []string `yaml:"candidates"`

	// Count is the number of machines.
	Count int `yaml:"count"`
	// SSHPublicKeyFile and CloudInitFile are paths of local files.
	SSHPublicKeyFile string `yaml:"sshPublicKeyFile"`
	CloudInitFile    string `yaml:"cloudInitFile"`
}

const specHelp = `A --file has these fields, each of which is also a flag:

    name: training
    offerId: off_abc123          # or candidates: [off_…, off_…], or quoteId, or requirements,
    gpuType: NVIDIA B200         #   which select the cheapest matching offer
    gpuCount: 8
    provider: voltage-park
    region: dallas-usa-5
    instanceType: BARE_METAL
    maxHourlyPrice: 40
    operatingSystem: Ubuntu 22.04    # or image: rocky, one of your own
    sshKeys: [laptop]            # names or IDs of saved keys, or sshPublicKeyFile: ~/.ssh/id_ed25519.pub
    volumes: [datasets]          # names or IDs
    tags: [team-a]
    project: pretraining
    autoTerminate: 8h            # or a time, such as 2026-12-01T18:00:00Z
    maxSpend: 200                # US dollars: no hour that would exceed this begins
    maxRuntime: 8h               # counted from the first billed hour
    healthAccess: launch         # or keep: Billet can check the GPUs at any time
    cloudInitFile: setup.yaml    # or cloudInit: the text itself
    count: 1`

func (s *spec) flags(f *pflag.FlagSet) {
	f.StringVar(&s.Name, "name", s.Name, "`name` of the machine; with --count, a number is appended")
	f.StringVar(&s.OfferID, "offer", s.OfferID, "`offer` to deploy, off_…, from 'billet offers'")
	f.StringSliceVar(&s.Candidates, "candidates", s.Candidates,
		"`offers` to try in this order; one machine is deployed")
	f.StringVar(&s.QuoteID, "quote", s.QuoteID, "`quote` to deploy, quo_…, at its locked price")
	f.StringVar(&s.GPUType, "gpu", s.GPUType,
		"full GPU `name`, such as \"NVIDIA B200\"; without an offer, the cheapest match")
	f.IntVar(&s.GPUCount, "gpus", s.GPUCount, "`number` of GPUs")
	f.StringVar(&s.Provider, "provider", s.Provider, "provider `slug`")
	f.StringVar(&s.Region, "region", s.Region, "region `slug`")
	f.StringVar(&s.InstanceType, "type", s.InstanceType, typeHelp)
	f.StringVar(&s.MaxHourlyPrice, "max-price", s.MaxHourlyPrice, "maximum price per machine and hour, in `USD`")
	f.StringVar(&s.OperatingSystem, "os", s.OperatingSystem,
		"`name` of an operating system of the offer; default: its first")
	f.StringVar(&s.Image, "image", s.Image, "`image` of your own to install instead, by name or ID")
	f.StringSliceVar(&s.SSHKeys, "ssh-key", s.SSHKeys, "saved SSH `key` to authorize, by name or ID")
	f.StringVar(
		&s.SSHPublicKeyFile,
		"ssh-public-key-file",
		s.SSHPublicKeyFile,
		"`file` with a public key to authorize; default: your key in ~/.ssh",
	)
	f.StringSliceVar(&s.Volumes, "volume", s.Volumes, "`volume` to attach, by name or ID")
	f.StringVar(&s.CloudInitFile, "cloud-init", s.CloudInitFile, "`file` with a cloud-config for the first boot")
	f.StringSliceVar(&s.Tags, "tag", s.Tags, "`tag` for filtering and cost reports")
	f.StringVar(&s.Project, "project", s.Project, "`project` for filtering and cost reports")
	f.StringVar(
		&s.AutoTerminate,
		"auto-terminate",
		s.AutoTerminate,
		"terminate after a duration, such as 8h, or at a `time`, such as 2026-12-01T18:00:00Z",
	)
	f.StringVar(&s.MaxSpend, "max-spend", s.MaxSpend, maxSpendHelp)
	f.StringVar(&s.MaxRuntime, "max-runtime", s.MaxRuntime, maxRuntimeHelp)
	f.StringVar(&s.HealthAccess, "health-access", s.HealthAccess,
		"how long Billet's key for GPU checks stays: launch (default) or `keep`")
	f.IntVar(&s.Count, "count", s.Count, "`number` of machines")
}

// read reads the file. Flags that were given override its fields.
func (s *spec) read(t *tool, path string, given *pflag.FlagSet) error {
	var in io.Reader = t.In
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return usageError("--file: %s", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return usageError("--file: %s", err)
	}
	from := spec{Count: 1}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&from); err != nil && !errors.Is(err, io.EOF) {
		problem := strings.TrimPrefix(strings.ReplaceAll(err.Error(), " in type cli.spec", ""), "yaml: ")
		return usageError("%s: %s\nRun 'billet deploy --help' for the list of fields.", path, problem)
	}
	if err := d.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return usageError("%s has more than one document. A file describes one deployment; use --count for several.",
			path)
	}
	// Set the flags again, on top of the file.
	over := pflag.NewFlagSet("", pflag.ContinueOnError)
	from.flags(over)
	var failed error
	given.Visit(func(f *pflag.Flag) {
		to := over.Lookup(f.Name)
		if to == nil {
			return
		}
		if many, is := f.Value.(pflag.SliceValue); is {
			failed = errors.Join(failed, to.Value.(pflag.SliceValue).Replace(many.GetSlice()))
			return
		}
		failed = errors.Join(failed, over.Set(f.Name, f.Value.String()))
	})
	*s = from
	return failed
}

// parseEnd parses an end: a duration from now, or a time.
func parseEnd(flag, text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d).UTC().Truncate(time.Second), nil
	}
	if at, is := clock.ParseRFC3339(text); is {
		return at.UTC(), nil
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02T15:04"} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, usageError(
		"%s must be a duration, such as 8h or 90m, or a time, such as 2026-12-01T18:00:00Z, not %q.",
		flag,
		text,
	)
}

// parseEnd is parseEnd from the server's time on.
func (t *tool) parseEnd(ctx context.Context, c *client.Client, flag, text string) (time.Time, error) {
	now, err := t.nowFor(ctx, c, text)
	if err != nil {
		return time.Time{}, err
	}
	return parseEnd(flag, text, now)
}

// request returns the request for the API, without keys and volumes, which need lookups.
func (s *spec) request(now time.Time) (client.CreateDeployment, error) {
	in := client.CreateDeployment{
		Name: s.Name, OfferID: s.OfferID, QuoteID: s.QuoteID, OperatingSystem: s.OperatingSystem,
		Provider: s.Provider, GPUType: s.GPUType, GPUCount: s.GPUCount, Region: s.Region,
		InstanceType: client.InstanceType(strings.ToUpper(s.InstanceType)),
		SSHPublicKey: s.SSHPublicKey, CloudInit: s.CloudInit, Tags: s.Tags, Project: s.Project,
		HealthAccess: client.HealthAccess(strings.ToLower(s.HealthAccess)),
	}
	for _, id := range s.Candidates {
		in.Candidates = append(in.Candidates, client.Candidate{OfferID: id})
	}
	if s.AutoTerminate != "" {
		at, err := parseEnd("--auto-terminate", s.AutoTerminate, now)
		if err != nil {
			return in, err
		}
		in.AutoTerminateAt = at
	}
	if s.MaxHourlyPrice != "" {
		m, err := dollars("--max-price", s.MaxHourlyPrice)
		if err != nil {
			return in, err
		}
		in.MaxHourlyPrice = &m
	}
	if err := s.limits(&in); err != nil {
		return in, err
	}
	if s.CloudInitFile != "" {
		b, err := os.ReadFile(s.CloudInitFile)
		if err != nil {
			return in, usageError("--cloud-init: %s", err)
		}
		in.CloudInit = string(b)
	}
	if s.Count < 1 || s.Count > 1000 {
		return in, usageError("--count must be 1 to 1000.")
	}
	if s.Count > 1 && s.QuoteID != "" {
		return in, usageError("a quote is for one machine. Remove --count, or use --offer.")
	}
	return in, nil
}

const (
	maxSpendHelp   = "maximum `USD` per machine: it terminates before an hour that would exceed this begins"
	maxRuntimeHelp = "maximum runtime, such as 8h, counted from the first billed hour"
)

// limits adds the limits of a deployment to the request.
func (s *spec) limits(in *client.CreateDeployment) error {
	if s.MaxSpend != "" {
		m, err := dollars("--max-spend", s.MaxSpend)
		if err != nil {
			return err
		}
		in.MaxSpend = &m
	}
	if s.MaxRuntime != "" {
		minutes, err := parseMinutes("--max-runtime", s.MaxRuntime)
		if err != nil {
			return err
		}
		in.MaxRuntimeMinutes = minutes
	}
	return nil
}

// parseMinutes parses a duration of whole minutes.
func parseMinutes(flag, text string) (int, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Minute || d%time.Minute != 0 {
		return 0, usageError("%s must be a duration of whole minutes, such as 8h or 90m, not %q.", flag, text)
	}
	return int(d / time.Minute), nil
}

// numbered returns the name of one of count machines.
func numbered(name string, i, count int) string {
	if count == 1 {
		return name
	}
	return fmt.Sprintf("%s-%0*d", name, len(fmt.Sprint(count)), i+1)
}
