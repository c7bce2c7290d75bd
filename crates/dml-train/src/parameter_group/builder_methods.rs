//! Builder methods of everything that has a parameter group.

/// Writes the builder methods that modules and criteria have in common.
macro_rules! parameter_group_methods {
    () => {
        /// The optimiser of the parameters. Its learning rate is the base of all schedules.
        ///
        /// Parameters of half precision learn by masters: copies in single precision, which the optimiser moves and which
        /// are rounded to the parameters after every step. So steps that are too small for half precision add up.
        ///
        /// # Errors
        /// As `make`, which gets the named parameters.
        pub fn with_optimizer<O: dml_core::Optimizer + 'static>(
            mut self,
            make: impl FnOnce(Vec<(String, candle_core::Var)>) -> dml_core::Result<O>,
        ) -> dml_core::Result<Self> {
            self.group.set_optimizer(make)?;
            Ok(self)
        }

        /// Optimisers for groups of the parameters by rules; `make` gets the named parameters of a group and their setting. All
        /// optimisers have one learning rate, the base of all schedules; the rules' factors are multiplied to it. Parameters
        /// that never learn get no optimiser.
        ///
        /// A gradient is computed for frozen parameters, too, and dropped before clipping and steps. To save its time, put
        /// what is frozen into a module of its own.
        ///
        /// # Errors
        /// As [`ParameterRules::plan`](crate::ParameterRules::plan) and `make`;
        /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for optimisers of different learning rates.
        pub fn with_parameter_rules<O: dml_core::Optimizer + 'static>(
            mut self,
            rules: &crate::ParameterRules,
            make: impl FnMut(
                Vec<(String, candle_core::Var)>,
                &crate::ParameterSetting,
            ) -> dml_core::Result<O>,
        ) -> dml_core::Result<Self> {
            self.group.set_optimizers(rules, make)?;
            Ok(self)
        }

        dml_core::setters! {
            /// Changes the learning rate after every iteration or epoch. There is one schedule of each pace; their factors
            /// multiply.
            pub fn with_schedule(self, pace: crate::schedule::Pace, schedule: impl crate::schedule::Schedule + 'static) {
                self.group.set_schedule(pace, Box::new(schedule))
            }

            /// Lowers the learning rate when [validation](crate::Validation) does not improve. The run must have a validation
            /// that improves in the same direction.
            pub fn with_plateau(self, plateau: crate::schedule::Plateau) { self.group.plateau = Some(plateau) }

            /// Clips the gradients of these parameters before every step.
            pub fn with_clip(self, clip: crate::Clip) { self.group.clip = Some(clip) }

            /// Freezes the parameters, with or without an optimiser.
            pub fn frozen(self) { self.group.learns = crate::Learns::Never }

            /// Freezes the parameters before an epoch, counted from 1; from it on they learn, and the state of the optimiser begins
            /// then. A resumed run goes on as the epoch says.
            pub fn frozen_until(self, epoch: u64) { self.group.learns = crate::Learns::FromEpoch(epoch) }
        }

        /// The parameter group.
        #[must_use]
        pub fn parameter_group(&self) -> &crate::ParameterGroup {
            &self.group
        }

        /// The parameter group, for [`Method::parameter_groups_mut`](crate::Method::parameter_groups_mut).
        pub fn parameter_group_mut(&mut self) -> &mut crate::ParameterGroup {
            &mut self.group
        }
    };
}
pub(crate) use parameter_group_methods;
