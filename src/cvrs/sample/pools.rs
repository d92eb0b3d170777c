//! What made-up rows are made of.

#[derive(Clone, Copy, Default)]
pub(super) struct City {
    pub(super) name: &'static str,
    /// FIPS code.
    pub(super) county: &'static str,
    pub(super) state: &'static str,
    pub(super) zip: &'static str,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Vaccine {
    pub(super) cvx: &'static str,
    pub(super) ndc: &'static str,
    pub(super) mvx: &'static str,
    /// How its lot numbers begin.
    pub(super) lot: &'static str,
    /// Shots after which the series is complete.
    pub(super) doses: u64,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Org {
    pub(super) name: &'static str,
    /// What its places are called, before their number.
    pub(super) branch: &'static str,
    /// `admin_type` of its places.
    pub(super) kind: &'static str,
}

/// Places where shots are given.
pub(super) const PROVIDERS: u64 = 900;

const fn city(
    name: &'static str,
    county: &'static str,
    state: &'static str,
    zip: &'static str,
) -> City {
    City { name, county, state, zip }
}

pub(super) const CITIES: [City; 48] = [
    city("Detroit", "26163", "MI", "48201"),
    city("Grand Rapids", "26081", "MI", "49503"),
    city("Lansing", "26065", "MI", "48910"),
    city("Ann Arbor", "26161", "MI", "48104"),
    city("Chicago", "17031", "IL", "60614"),
    city("Springfield", "17167", "IL", "62704"),
    city("Milwaukee", "55079", "WI", "53202"),
    city("Madison", "55025", "WI", "53703"),
    city("Minneapolis", "27053", "MN", "55401"),
    city("Des Moines", "19153", "IA", "50309"),
    city("Omaha", "31055", "NE", "68102"),
    city("Kansas City", "29095", "MO", "64106"),
    city("Columbus", "39049", "OH", "43215"),
    city("Cleveland", "39035", "OH", "44113"),
    city("Indianapolis", "18097", "IN", "46204"),
    city("Louisville", "21111", "KY", "40202"),
    city("Nashville", "47037", "TN", "37203"),
    city("Memphis", "47157", "TN", "38103"),
    city("Atlanta", "13121", "GA", "30303"),
    city("Birmingham", "01073", "AL", "35203"),
    city("Jacksonville", "12031", "FL", "32202"),
    city("Tampa", "12057", "FL", "33602"),
    city("Charlotte", "37119", "NC", "28202"),
    city("Raleigh", "37183", "NC", "27601"),
    city("Columbia", "45079", "SC", "29201"),
    city("Richmond", "51760", "VA", "23219"),
    city("Baltimore", "24510", "MD", "21202"),
    city("Philadelphia", "42101", "PA", "19103"),
    city("Pittsburgh", "42003", "PA", "15222"),
    city("Newark", "34013", "NJ", "07102"),
    city("Buffalo", "36029", "NY", "14202"),
    city("Rochester", "36055", "NY", "14604"),
    city("Boston", "25025", "MA", "02108"),
    city("Providence", "44007", "RI", "02903"),
    city("Houston", "48201", "TX", "77002"),
    city("Dallas", "48113", "TX", "75201"),
    city("Austin", "48453", "TX", "78701"),
    city("Denver", "08031", "CO", "80202"),
    city("Phoenix", "04013", "AZ", "85004"),
    city("Albuquerque", "35001", "NM", "87102"),
    city("Salt Lake City", "49035", "UT", "84101"),
    city("Las Vegas", "32003", "NV", "89101"),
    city("Sacramento", "06067", "CA", "95814"),
    city("San Diego", "06073", "CA", "92101"),
    city("Portland", "41051", "OR", "97204"),
    city("Seattle", "53033", "WA", "98101"),
    city("Boise", "16001", "ID", "83702"),
    city("Anchorage", "02020", "AK", "99501"),
];

pub(super) const FIRST_NAMES: [&str; 64] = [
    "Aaron", "Alice", "Amara", "Andre", "Anna", "Anthony", "Beatriz", "Benjamin", "Brenda",
    "Brian", "Carlos", "Carol", "Cheng", "Claire", "Daniel", "Deborah", "Dmitri", "Donna",
    "Edward", "Elena", "Emily", "Eric", "Fatima", "Frank", "Gloria", "Grace", "Hannah", "Hector",
    "Helen", "Ibrahim", "Isaac", "Jacob", "James", "Jasmine", "Joan", "Jorge", "Joseph", "Julia",
    "Karen", "Kenji", "Kevin", "Laura", "Leon", "Linda", "Lucas", "Malik", "Maria", "Martin",
    "Mei", "Michael", "Nadia", "Noah", "Olivia", "Patricia", "Paul", "Priya", "Rachel", "Robert",
    "Rosa", "Samuel", "Sofia", "Thomas", "Victor", "Yusuf",
];

pub(super) const INITIALS: [&str; 20] = [
    "A", "B", "C", "D", "E", "F", "G", "H", "J", "K", "L", "M", "N", "O", "P", "R", "S", "T", "V",
    "W",
];

pub(super) const LAST_NAMES: [&str; 80] = [
    "Adams",
    "Ahmed",
    "Alvarez",
    "Anderson",
    "Bailey",
    "Baker",
    "Barnes",
    "Bell",
    "Brooks",
    "Brown",
    "Butler",
    "Campbell",
    "Carter",
    "Castillo",
    "Chen",
    "Clark",
    "Collins",
    "Cook",
    "Cooper",
    "Cruz",
    "Davis",
    "Diaz",
    "Edwards",
    "Evans",
    "Fisher",
    "Flores",
    "Foster",
    "Garcia",
    "Gomez",
    "Gray",
    "Green",
    "Hall",
    "Harris",
    "Hayes",
    "Henderson",
    "Hernandez",
    "Hill",
    "Howard",
    "Hughes",
    "Jackson",
    "Jenkins",
    "Johnson",
    "Jones",
    "Kelly",
    "Khan",
    "Kim",
    "King",
    "Lee",
    "Lewis",
    "Long",
    "Lopez",
    "Martinez",
    "Miller",
    "Mitchell",
    "Moore",
    "Morgan",
    "Murphy",
    "Nelson",
    "Nguyen",
    "Ortiz",
    "Parker",
    "Patel",
    "Perez",
    "Peterson",
    "Phillips",
    "Price",
    "Ramirez",
    "Reed",
    "Rivera",
    "Roberts",
    "Rogers",
    "Ross",
    "Sanchez",
    "Scott",
    "Singh",
    "Taylor",
    "Turner",
    "Walker",
    "Wright",
    "Young",
];

pub(super) const STREETS: [&str; 40] = [
    "1st Ave",
    "2nd St",
    "Ash Ct",
    "Beech St",
    "Birch Ln",
    "Bridge St",
    "Broadway",
    "Cedar Ave",
    "Center St",
    "Cherry Ln",
    "Chestnut St",
    "Church St",
    "College Ave",
    "Division Ave",
    "Elm St",
    "Forest Dr",
    "Franklin St",
    "Garden Way",
    "Grove Ave",
    "Highland Ave",
    "Hill Rd",
    "Jackson Blvd",
    "Lake St",
    "Laurel Ln",
    "Lincoln Ave",
    "Main St",
    "Maple Ave",
    "Market St",
    "Meadow Ln",
    "Mill Rd",
    "Oak St",
    "Orchard Rd",
    "Park Ave",
    "Pine St",
    "Prospect St",
    "River Rd",
    "Spring St",
    "Sunset Dr",
    "Walnut St",
    "Willow Ct",
];

pub(super) const UNITS: [&str; 4] = ["Apt ", "Unit ", "Fl ", "Ste "];

pub(super) const RACES: [&str; 8] =
    ["1002-5", "2028-9", "2054-5", "2076-8", "2106-3", "2106-3", "2131-1", "UNK"];

pub(super) const YES_NO_UNKNOWN: [&str; 3] = ["YES", "NO", "UNK"];

pub(super) const SITES: [&str; 4] = ["LD", "RD", "LA", "RA"];

pub(super) const VACCINES: [Vaccine; 3] = [
    Vaccine { cvx: "207", ndc: "80777-273-10", mvx: "MOD", lot: "011J", doses: 2 },
    Vaccine { cvx: "208", ndc: "59267-1000-1", mvx: "PFR", lot: "EN", doses: 2 },
    // Not told which, as in a record of somebody's word.
    Vaccine { cvx: "213", ndc: "", mvx: "UNK", lot: "18", doses: 1 },
];

pub(super) const ORGS: [Org; 12] = [
    Org { name: "Bluestem", branch: "Bluestem Pharmacy ", kind: "17" },
    Org { name: "Brightwater", branch: "Brightwater ", kind: "22" },
    Org { name: "Corner Drug", branch: "Corner Drug ", kind: "18" },
    Org { name: "Great Lakes", branch: "Great Lakes ", kind: "9" },
    Org { name: "Harbor Care", branch: "Harbor ", kind: "27" },
    Org { name: "Heartland", branch: "Heartland Family ", kind: "12" },
    Org { name: "Northside", branch: "Northside Clinic ", kind: "19" },
    Org { name: "Open Door", branch: "Open Door ", kind: "3" },
    Org { name: "Prairie Kids", branch: "Prairie Kids ", kind: "13" },
    Org { name: "Riverbend", branch: "Riverbend ", kind: "14" },
    Org { name: "Sunrise", branch: "Sunrise House ", kind: "24" },
    Org { name: "Tri-County", branch: "Tri-County ", kind: "19" },
];
