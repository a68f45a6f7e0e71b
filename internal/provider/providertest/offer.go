package providertest

import (
	"regexp"
	"slices"

	"github.com/billetcloud/billet/internal/provider"
)

var (
	slugForm    = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	countryForm = regexp.MustCompile(`^[A-Z]{2}$`)
)

func testInfo(s *suite) {
	info := s.Provider.Info()
	if !slugForm.MatchString(info.Slug) || info.Name == "" {
		s.Errorf("slug %q, name %q", info.Slug, info.Name)
	}
	if info.LaunchLimit <= 0 || info.SyncEvery <= 0 || info.PollEvery <= 0 || info.MinimumRuntime < 0 {
		s.Errorf("limits and intervals: %+v", info)
	}
	seen := map[string]bool{}
	for _, r := range info.Regions {
		if !slugForm.MatchString(r.Slug) || r.Name == "" || (r.Country != "" && !countryForm.MatchString(r.Country)) || seen[r.Slug] {
			s.Errorf("region %+v is malformed or there twice", r)
		}
		seen[r.Slug] = true
	}
	if again := s.Provider.Info(); again.Slug != info.Slug || len(again.Regions) != len(info.Regions) {
		s.Errorf("Info changed from %+v to %+v", info, again)
	}
}

func testOffers(s *suite) {
	offers, err := s.Provider.Offers(s.Context())
	s.must("Offers", err)
	if len(offers) == 0 {
		s.Fatal("no offers")
	}
	for name, o := range s.byName(offers) {
		// Regions that Info does not name come and go with the offers.
		if o.Key == "" || !provider.ValidSlug(o.Region) || (o.Country != "" && !countryForm.MatchString(o.Country)) {
			s.Errorf("%v: key, region or country is malformed: %+v", name, o)
		}
		if o.GPUType == "" || min(o.GPUCount, o.GPUMemoryGB, o.VCPUs, o.MemoryGB, o.StorageGB) < 1 {
			s.Errorf("%v: hardware is missing: %+v", name, o)
		}
		if !slices.Contains([]provider.InstanceType{provider.BareMetal, provider.VM, provider.Spot, provider.Cluster}, o.InstanceType) {
			s.Errorf("%v: instance type %q", name, o.InstanceType)
		}
		if len(o.OperatingSystems) == 0 || slices.Contains(o.OperatingSystems, "") {
			s.Errorf("%v: operating systems %q", name, o.OperatingSystems)
		}
		if o.HourlyPrice <= 0 {
			s.Errorf("%v: price %s", name, o.HourlyPrice)
		}
		if o.Stock != nil && (*o.Stock < 0 || (*o.Stock > 0) != o.Available) {
			s.Errorf("%v: available is %t with a stock of %d", name, o.Available, *o.Stock)
		}
	}
	// What a caller does to an answer is its own affair.
	offers[0].OperatingSystems[0] = "changed by the caller"
	again, err := s.Provider.Offers(s.Context())
	s.must("Offers again", err)
	before, after := s.byName(offers), s.byName(again)
	if len(before) != len(after) {
		s.Errorf("%d offers became %d in a moment", len(before), len(after))
	}
	for name, o := range after {
		if _, ok := before[name]; !ok {
			s.Errorf("%v was not there a moment ago", name)
		}
		if slices.Contains(o.OperatingSystems, "changed by the caller") {
			s.Errorf("%v: two answers share memory", name)
		}
	}
}

// offerName is what an offer is known by at one provider.
type offerName struct{ region, key string }

func (s *suite) byName(offers []provider.Offer) map[offerName]provider.Offer {
	m := map[offerName]provider.Offer{}
	for _, o := range offers {
		name := offerName{o.Region, o.Key}
		if _, twice := m[name]; twice {
			s.Errorf("%v is there twice", name)
		}
		m[name] = o
	}
	return m
}

func testAbilities(s *suite) {
	offers, err := s.Provider.Offers(s.Context())
	s.must("Offers", err)
	_, canReboot := s.Provider.(provider.Rebooter)
	_, canPower := s.Provider.(provider.Powerer)
	_, canReinstall := s.Provider.(provider.Reinstaller)
	volumes, canVolumes := s.Provider.(provider.VolumeProvider)
	var said provider.Capabilities
	regions := map[string]bool{}
	for _, r := range s.Provider.Info().Regions {
		regions[r.Slug] = true
	}
	for _, o := range offers {
		regions[o.Region] = true
		for _, c := range []struct {
			name       string
			says, does bool
		}{
			{"reboot", o.Capabilities.Reboot, canReboot}, {"power", o.Capabilities.Power, canPower},
			{"reinstall", o.Capabilities.Reinstall, canReinstall}, {"volumes", o.Capabilities.Volumes, canVolumes},
		} {
			if c.says && !c.does {
				s.Errorf("offer %s says %s, and the provider does not implement it", o.Key, c.name)
			}
		}
		said.Reboot = said.Reboot || o.Capabilities.Reboot
		said.Power = said.Power || o.Capabilities.Power
		said.Reinstall = said.Reinstall || o.Capabilities.Reinstall
		said.Volumes = said.Volumes || o.Capabilities.Volumes
	}
	if have := (provider.Capabilities{Reboot: canReboot, Power: canPower, Reinstall: canReinstall, Volumes: canVolumes}); have != said {
		s.Errorf("implemented: %+v; said of any offer: %+v", have, said)
	}
	if !canVolumes {
		return
	}
	pricing, err := volumes.VolumePricing(s.Context())
	s.must("VolumePricing", err)
	priced := map[string]bool{}
	for _, p := range pricing {
		usable := slices.ContainsFunc(offers, func(o provider.Offer) bool { return o.Region == p.Region && o.Capabilities.Volumes })
		// Where Info names no regions, there may be volumes in one that has no offers now.
		if !usable && (len(s.Provider.Info().Regions) > 0 || !provider.ValidSlug(p.Region)) || priced[p.Region] {
			s.Errorf("volume pricing for region %q, unknown or there twice", p.Region)
		}
		priced[p.Region] = true
		if p.PerGBHour <= 0 || p.MinSizeGB < 1 || p.MaxSizeGB < p.MinSizeGB {
			s.Errorf("volume pricing %+v", p)
		}
	}
	if len(priced) == 0 {
		s.Error("volumes without a region to have them in")
	}
}
