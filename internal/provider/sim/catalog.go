package sim

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

//go:embed catalog.json
var catalogJSON []byte

// source is one simulated provider as the catalog describes it.
type source struct {
	Slug                  string                `json:"slug"`
	Name                  string                `json:"name"`
	Capabilities          provider.Capabilities `json:"capabilities"`
	LaunchLimitMinutes    int                   `json:"launchLimitMinutes"`
	MinimumRuntimeMinutes int                   `json:"minimumRuntimeMinutes"`
	SyncEverySeconds      int                   `json:"syncEverySeconds"`
	PollEverySeconds      int                   `json:"pollEverySeconds"`
	// HidesStock makes the provider tell only whether an offer can be had, not how many.
	HidesStock bool          `json:"hidesStock"`
	Regions    []place       `json:"regions"`
	Volumes    []volumePrice `json:"volumes"`
	Offers     []*offer      `json:"offers"`
}

type place struct {
	Slug    string `json:"slug"`
	Name    string `json:"name"`
	Country string `json:"country"`
}

type volumePrice struct {
	Region    string       `json:"region"`
	PerGBHour money.Micros `json:"perGbHour"`
	MinSizeGB int64        `json:"minSizeGb"`
	MaxSizeGB int64        `json:"maxSizeGb"`
}

type offer struct {
	Key              string                `json:"key"`
	Region           string                `json:"region"`
	GPUType          string                `json:"gpuType"`
	GPUCount         int                   `json:"gpuCount"`
	GPUMemoryGB      int                   `json:"gpuMemoryGb"`
	VCPUs            int                   `json:"vcpus"`
	MemoryGB         int                   `json:"memoryGb"`
	StorageGB        int                   `json:"storageGb"`
	Interconnect     string                `json:"interconnect"`
	InstanceType     provider.InstanceType `json:"instanceType"`
	OperatingSystems []string              `json:"operatingSystems"`
	// CentsPerGPUHour is the price about which the real one moves.
	CentsPerGPUHour int64 `json:"centsPerGpuHour"`
	// Stock is how many there are. Up to Wobble of them are in the hands of other customers, which
	// changes by the hour.
	Stock  int `json:"stock"`
	Wobble int `json:"wobble"`
}

var slugForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// readCatalog reads a catalog and refuses one that contradicts itself: a world with a broken
// offer would fail in a tenant's hands instead of here.
func readCatalog(text []byte) ([]*source, error) {
	var file struct {
		Providers []*source `json:"providers"`
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return nil, fmt.Errorf("sim: catalog: %w", err)
	}
	var faults []error
	seen := map[string]bool{}
	for _, s := range file.Providers {
		if seen[s.Slug] {
			faults = append(faults, fmt.Errorf("provider %s is there twice", s.Slug))
		}
		seen[s.Slug] = true
		for _, f := range s.contradictions() {
			faults = append(faults, fmt.Errorf("%s: %s", s.Slug, f))
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("sim: catalog: %w", errors.Join(faults...))
	}
	return file.Providers, nil
}

// contradictions returns everything that is wrong with a provider of the catalog.
func (s *source) contradictions() []string {
	var wrong []string
	if !slugForm.MatchString(s.Slug) {
		wrong = append(wrong, "malformed slug")
	}
	if s.Name == "" || s.LaunchLimitMinutes < 1 || s.MinimumRuntimeMinutes < 0 || s.SyncEverySeconds < 1 ||
		s.PollEverySeconds < 1 {
		wrong = append(wrong, "name, limit or interval is missing")
	}
	regions := map[string]bool{}
	for _, r := range s.Regions {
		if !slugForm.MatchString(r.Slug) || r.Name == "" || len(r.Country) != 2 || regions[r.Slug] {
			wrong = append(wrong, fmt.Sprintf("region %q is malformed or there twice", r.Slug))
		}
		regions[r.Slug] = true
	}
	if s.Capabilities.Volumes != (len(s.Volumes) > 0) {
		wrong = append(wrong, "the capability volumes and the volume prices disagree")
	}
	for _, v := range s.Volumes {
		if !regions[v.Region] || v.PerGBHour <= 0 || v.MinSizeGB < 1 || v.MaxSizeGB < v.MinSizeGB {
			wrong = append(wrong, fmt.Sprintf("the price of volumes in region %q is malformed", v.Region))
		}
	}
	return append(wrong, s.wrongOffers(regions)...)
}

// wrongOffers returns what is wrong with the provider's offers.
func (s *source) wrongOffers(regions map[string]bool) (wrong []string) {
	keys := map[string]bool{}
	for _, o := range s.Offers {
		if o.Key == "" || keys[o.Key] {
			wrong = append(wrong, fmt.Sprintf("offer key %q is empty or there twice", o.Key))
		}
		keys[o.Key] = true
		if !regions[o.Region] || !o.wellFormed() {
			wrong = append(wrong, fmt.Sprintf("offer %s is malformed", o.Key))
		}
	}
	return wrong
}

// instanceTypes are those that an offer may have.
var instanceTypes = []provider.InstanceType{provider.BareMetal, provider.VM, provider.Spot, provider.Cluster}

// wellFormed reports whether the offer's own fields can be sold.
func (o *offer) wellFormed() bool {
	return o.GPUType != "" && len(o.OperatingSystems) > 0 &&
		min(o.GPUCount, o.GPUMemoryGB, o.VCPUs, o.MemoryGB, o.StorageGB, o.Stock) >= 1 &&
		o.CentsPerGPUHour >= 1 && o.Wobble >= 0 && o.Wobble <= o.Stock && slices.Contains(instanceTypes, o.InstanceType)
}

func (s *source) info() provider.Info {
	regions := make([]provider.Region, len(s.Regions))
	for i, r := range s.Regions {
		regions[i] = provider.Region{Slug: r.Slug, Name: r.Name, Country: r.Country}
	}
	return provider.Info{
		Slug:           s.Slug,
		Name:           s.Name,
		Regions:        regions,
		LaunchLimit:    time.Duration(s.LaunchLimitMinutes) * time.Minute,
		MinimumRuntime: time.Duration(s.MinimumRuntimeMinutes) * time.Minute,
		SyncEvery:      time.Duration(s.SyncEverySeconds) * time.Second,
		PollEvery:      time.Duration(s.PollEverySeconds) * time.Second,

		PrivateAddresses: true,
	}
}

// markUnisolated says it wherever the provider or one of its offers is shown.
func (s *source) markUnisolated() {
	const mark = " (not isolated)"
	s.Name += mark
	for i := range s.Regions {
		s.Regions[i].Name += mark
	}
}

// offer returns the offer with that key, or nil.
func (s *source) offer(key string) *offer {
	for _, o := range s.Offers {
		if o.Key == key {
			return o
		}
	}
	return nil
}
