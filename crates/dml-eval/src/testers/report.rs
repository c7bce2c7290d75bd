//! What a test finds.

/// The metrics of one query split.
#[derive(Clone, Debug, PartialEq)]
pub struct SplitAccuracies {
    /// The query split.
    pub query: String,
    /// Its reference splits.
    pub references: Vec<String>,
    /// Values by PML's names: the metric and its level of labels, `precision_at_1_level0`; with several levels also their
    /// mean, `AVERAGE_precision_at_1`. NaN where nothing has a value, such as a ranking of lone queries.
    pub values: Vec<(String, f64)>,
}

impl SplitAccuracies {
    /// A value by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        let found = self.values.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| *value)
    }

    /// From the values of each level, which are of the same metrics.
    pub(super) fn new(
        query: &str,
        references: &[String],
        levels: &[(usize, Vec<(String, f64)>)],
    ) -> Self {
        let mut values: Vec<(String, f64)> = Vec::new();
        for (level, of_level) in levels {
            let named = of_level.iter();
            values.extend(named.map(|(metric, value)| (format!("{metric}_level{level}"), *value)));
        }
        if let (true, Some((_, first))) = (levels.len() > 1, levels.first()) {
            for (at, (metric, _)) in first.iter().enumerate() {
                let sum: f64 = levels.iter().map(|(_, values)| values[at].1).sum();
                values.push((format!("AVERAGE_{metric}"), sum / levels.len() as f64));
            }
        }
        Self {
            query: query.to_owned(),
            references: references.to_vec(),
            values,
        }
    }
}
