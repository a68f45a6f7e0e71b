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
		country := r.Country == "" || countryForm.MatchString(r.Country)
		if !slugForm.MatchString(r.Slug) || r.Name == "" || !country || seen[r.Slug] {
			s.Errorf("region %+v is malformed or listed twice", r)
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
		s.checkOffer(name, o)
	}
	// A caller may change what it gets.
	offers[0].OperatingSystems[0] = "changed by the caller"
	again, err := s.Provider.Offers(s.Context())
	s.must("Offers again", err)
	before, after := s.byName(offers), s.byName(again)
	if len(before) != len(after) {
		s.Errorf("got %d offers the second time, want %d", len(after), len(before))
	}
	for name, o := range after {
		if _, ok := before[name]; !ok {
			s.Errorf("%v is new the second time", name)
		}
		if slices.Contains(o.OperatingSystems, "changed by the caller") {
			s.Errorf("%v: two results share memory", name)
		}
	}
}

// checkOffer checks the fields of one offer.
func (s *suite) checkOffer(name offerName, o provider.Offer) {
	s.Helper()
	kinds := []provider.InstanceType{provider.BareMetal, provider.VM, provider.Spot, provider.Cluster}
	country := o.Country == "" || countryForm.MatchString(o.Country)
	switch {
	case o.Key == "" || !provider.ValidSlug(o.Region) || !country:
		s.Errorf("%v: malformed key, region or country: %+v", name, o)
	case o.GPUType == "" || min(o.GPUCount, o.GPUMemoryGB, o.VCPUs, o.MemoryGB, o.StorageGB) < 1:
		s.Errorf("%v: missing hardware: %+v", name, o)
	case !slices.Contains(kinds, o.InstanceType):
		s.Errorf("%v: unknown instance type %q", name, o.InstanceType)
	case len(o.OperatingSystems) == 0 || slices.Contains(o.OperatingSystems, ""):
		s.Errorf("%v: invalid operating systems %q", name, o.OperatingSystems)
	case o.HourlyPrice <= 0:
		s.Errorf("%v: invalid price %s", name, o.HourlyPrice)
	case o.Stock != nil && (*o.Stock < 0 || (*o.Stock > 0) != o.Available):
		s.Errorf("%v: available is %t with a stock of %d", name, o.Available, *o.Stock)
	}
}

// offerName identifies an offer at a provider.
type offerName struct{ region, key string }

func (s *suite) byName(offers []provider.Offer) map[offerName]provider.Offer {
	m := map[offerName]provider.Offer{}
	for _, o := range offers {
		name := offerName{o.Region, o.Key}
		if _, twice := m[name]; twice {
			s.Errorf("%v is listed twice", name)
		}
		m[name] = o
	}
	return m
}

func testCapabilities(s *suite) {
	offers, err := s.Provider.Offers(s.Context())
	s.must("Offers", err)
	var implemented, offered provider.Capabilities
	_, implemented.Reboot = s.Provider.(provider.Rebooter)
	_, implemented.Power = s.Provider.(provider.Powerer)
	_, implemented.Reinstall = s.Provider.(provider.Reinstaller)
	_, implemented.Rescue = s.Provider.(provider.Rescuer)
	_, implemented.CustomImages = s.Provider.(provider.ImageReinstaller)
	volumes, hasVolumes := s.Provider.(provider.VolumeProvider)
	implemented.Volumes = hasVolumes
	for _, o := range offers {
		offered.Reboot = offered.Reboot || o.Capabilities.Reboot
		offered.Power = offered.Power || o.Capabilities.Power
		offered.Reinstall = offered.Reinstall || o.Capabilities.Reinstall
		offered.Rescue = offered.Rescue || o.Capabilities.Rescue
		offered.Console = offered.Console || o.Capabilities.Console
		offered.CustomImages = offered.CustomImages || o.Capabilities.CustomImages
		offered.Volumes = offered.Volumes || o.Capabilities.Volumes
	}
	if offered.Console { // a matter of each machine: an operator may have entered no console
		_, implemented.Console = s.Provider.(provider.Consoler)
	}
	if implemented != offered {
		s.Errorf("got %+v in the offers, want what is implemented: %+v", offered, implemented)
	}
	if hasVolumes {
		pricing, err := volumes.VolumePricing(s.Context())
		s.must("VolumePricing", err)
		s.checkPricing(pricing, offers)
	}
}

// checkPricing checks the regions, prices and sizes of volumes.
func (s *suite) checkPricing(pricing []provider.VolumePricing, offers []provider.Offer) {
	s.Helper()
	if len(pricing) == 0 {
		s.Error("volumes are implemented, and no region has any")
	}
	priced := map[string]bool{}
	for _, p := range pricing {
		usable := slices.ContainsFunc(offers, func(o provider.Offer) bool {
			return o.Region == p.Region && o.Capabilities.Volumes
		})
		if len(s.Provider.Info().Regions) == 0 { // a region may have volumes and no offers now
			usable = provider.ValidSlug(p.Region)
		}
		if !usable || priced[p.Region] {
			s.Errorf("the region %q of volume pricing is unknown or listed twice", p.Region)
		}
		priced[p.Region] = true
		if p.PerGBHour <= 0 || p.MinSizeGB < 1 || p.MaxSizeGB < p.MinSizeGB {
			s.Errorf("invalid volume pricing %+v", p)
		}
	}
}
